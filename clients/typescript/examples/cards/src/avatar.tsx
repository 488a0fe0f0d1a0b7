import type { ReactElement } from 'react';

/** A person in two letters; the same colour for the same name. */
export function Avatar({ name, title }: { readonly name: string; readonly title?: string }): ReactElement {
  let hue = 0;
  for (const character of name) hue = (hue * 31 + (character.codePointAt(0) ?? 0)) % 360;
  return (
    <span
      className="avatar"
      style={{ backgroundColor: `hsl(${String(hue)} 45% 36%)` }}
      role="img"
      aria-label={title ?? name}
      title={title ?? name}
    >
      {[...name].slice(0, 2).join('')}
    </span>
  );
}
