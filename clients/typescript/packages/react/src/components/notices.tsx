import type { Notice } from '@syncline/client';
import type { ReactElement } from 'react';
import { useEffect } from 'react';
import { useNotices } from '../hooks/use-notices.js';
import { count, fieldsWords, refusalWords } from './words.js';

/** How long a notice stays that needs nobody to act. */
const PASSING_MS = 8_000;

/** Things to tell once, such as a rollback. What needs somebody to act stays until it is dismissed. */
export function Notices({ className }: { readonly className?: string }): ReactElement {
  const { notices, dismiss } = useNotices();
  return (
    <ol className={`syncline-notices ${className ?? ''}`} aria-live="polite" aria-label="Notices">
      {notices.map((notice, index) => (
        <Entry key={`${notice.type}/${String(index)}`} notice={notice} dismiss={dismiss} />
      ))}
    </ol>
  );
}

function Entry(props: { readonly notice: Notice; readonly dismiss: (notice: Notice) => void }): ReactElement {
  const { notice, dismiss } = props;
  const passing = notice.type === 'conflict' ? !notice.own : notice.type === 'schema_changed';
  useEffect(() => {
    if (!passing) return;
    const timer = setTimeout(() => {
      dismiss(notice);
    }, PASSING_MS);
    return () => {
      clearTimeout(timer);
    };
  }, [passing, notice, dismiss]);
  return (
    <li className="syncline-notice" data-type={notice.type}>
      <span>{noticeWords(notice)}</span>
      <button
        type="button"
        className="syncline-button"
        aria-label="Dismiss this notice"
        onClick={() => {
          dismiss(notice);
        }}
      >
        ✕
      </button>
    </li>
  );
}

function noticeWords(notice: Notice): string {
  switch (notice.type) {
    case 'rejected':
      return notice.item.why === 'cancelled'
        ? 'A change was taken back. What you wrote is kept under “Changes without effect”.'
        : `A change was undone: ${refusalWords(notice.item.refusal)} What you wrote is kept under “Changes without effect”.`;
    case 'conflict':
      return `${notice.own ? 'Your change' : 'A change'} clashed with another (${fieldsWords(notice.conflict.fieldIds)}). Both are kept; decide in the inbox.`;
    case 'reminder':
      return `A conflict that was put aside waits for a decision (${fieldsWords(notice.conflict.fieldIds)}).`;
    case 'update_needed':
      return 'The server is newer than this application. Reload or update it to go on syncing; your changes are kept here.';
    case 'history_rewound':
      return `The server was restored. ${count(notice.rebased, 'change')} of yours sent again.`;
    case 'replica_changed':
      return `This device was copied and got a new name. ${count(notice.rebased, 'change')} sent again.`;
    case 'not_saved':
      return 'A change could not be saved on this device. It is still shown; keep this page open.';
    case 'schema_changed':
      return 'The shape of this workspace changed.';
    case 'schema_differs':
      return `This application and its server differ: ${notice.differences.join('; ')}.`;
  }
}
