import { useTextField } from '@syncline/react';

export function Body({ id }: { id: string }) {
  const { props } = useTextField(id, 'body');
  return <textarea aria-label="Body" {...props} />;
}
