import type { ReactElement, ReactNode } from 'react';
import { useEffect, useRef } from 'react';

/** A panel over a person's board. Escape closes it, and the focus goes back to where it was. */
export function Drawer(props: {
  readonly title: string;
  readonly close: () => void;
  readonly children: ReactNode;
}): ReactElement {
  const { title, close, children } = props;
  const panel = useRef<HTMLElement>(null);
  useEffect(() => {
    const before = document.activeElement;
    panel.current?.focus();
    return () => {
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  return (
    <section
      ref={panel}
      className="drawer"
      role="dialog"
      aria-label={title}
      tabIndex={-1}
      onKeyDown={(event) => {
        if (event.key === 'Escape') {
          event.stopPropagation();
          close();
        }
      }}
    >
      <header className="drawer-header">
        <h2>{title}</h2>
        <button type="button" className="syncline-button" aria-label={`Close ${title}`} onClick={close}>
          ✕
        </button>
      </header>
      <div className="drawer-body">{children}</div>
    </section>
  );
}
