import { useTextField } from '@syncline/react';

export function Body({ id }: { id: string }) {
  const { props, problem } = useTextField(id, 'body');
  return (
    <>
      <textarea aria-label="Body" {...props} />
      {problem ? <p role="alert">{problem.message}</p> : null}
    </>
  );
}
