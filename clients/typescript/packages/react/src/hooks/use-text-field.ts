import type { SynclineError } from '@syncline/client';
import { useLayoutEffect, useMemo, useState } from 'react';
import type { TextFieldBinding, UseTextField } from '../api.js';
import { useSyncline } from '../provider.js';
import { TextEditor, textOf } from '../text/text-editor.js';
import { NEWER_WORDS } from '../components/words.js';
import { useObservable } from './use-observable.js';

/** Binds a text to an input or textarea: spread `props` on it. */
export const useTextField: UseTextField = (id, field) => {
  const client = useSyncline();
  const record = useMemo(() => client.record(id), [client, id]);
  const view = useObservable(record);
  const [draft, setDraft] = useState<{ readonly text: string; readonly problem: SynclineError | undefined }>();
  const editor = useMemo(
    () =>
      new TextEditor({
        client,
        record,
        id,
        field,
        onDraft: (text, problem) => {
          setDraft(text === undefined ? undefined : { text, problem });
        },
      }),
    [client, record, id, field],
  );
  useLayoutEffect(() => editor.start(), [editor]);
  const handlers = useMemo<Omit<TextFieldBinding['props'], 'value'>>(
    () => ({
      ref: editor.attach,
      onChange: (event) => {
        editor.input(event.currentTarget, event.timeStamp);
      },
      onKeyDown: (event) => {
        const key = event.key.toLowerCase();
        if (!(event.ctrlKey || event.metaKey) || event.altKey || (key !== 'z' && key !== 'y')) return;
        // The browser's own undo knows nothing of what others wrote.
        event.preventDefault();
        if (key === 'y' || event.shiftKey) client.redo();
        else client.undo();
      },
      onCompositionStart: () => {
        editor.compositionStart();
      },
      onCompositionEnd: (event) => {
        editor.compositionEnd(event.currentTarget, event.timeStamp);
      },
    }),
    [client, editor],
  );
  const value = draft?.text ?? textOf(view, field);
  const problem = draft?.problem;
  return useMemo(
    () => ({
      props: { ...handlers, value, ...(view?.opaque.includes(field) === true && NEWER) },
      problem,
      mark: view?.fieldSync[field] ?? 'synced',
      conflictIds: view?.conflictIds ?? NONE,
    }),
    [handlers, value, problem, view, field],
  );
};

const NONE: readonly string[] = [];
/** What such a text says is kept, and neither shown nor written. */
const NEWER = { readOnly: true, placeholder: NEWER_WORDS } as const;
