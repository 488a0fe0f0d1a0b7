import type { Alternative, MutationKind, TextRegion, Value } from '@syncline/client';
import type { ReactElement } from 'react';
import { authorWords, NEWER_WORDS, timeWords, valueWords } from './words.js';
import { VersionView } from './version-view.js';

/** One side of a conflict: who, when, what it offers, and a button to choose it where that is possible. */
export function ConflictSide(props: {
  readonly side: Alternative;
  /** What the sides started from. */
  readonly base: Value;
  /** The place in the text, for a conflict of a text. */
  readonly region: TextRegion | undefined;
  readonly busy: boolean;
  readonly use?: () => void;
}): ReactElement {
  const { side, base, region, busy, use } = props;
  const author = authorWords(side.actor);
  return (
    <li className="syncline-side">
      <header>
        <strong>{author}</strong>
        <span>{timeWords(side.clientTimeMs ?? side.commitTimeMs)}</span>
        {isShown(side, region) ? <span className="syncline-tag">shown now</span> : null}
      </header>
      {region !== undefined && typeof side.value === 'string' ? (
        <VersionView label={`What ${author} wrote`} base={base} version={side.value} region={region} />
      ) : (
        <p className="syncline-value">{offerWords(side)}</p>
      )}
      {side.wholeBytes === undefined ? null : (
        <p className="syncline-case-reason">
          This is only the beginning, of {Math.ceil(side.wholeBytes / 1024)} KB. Too many sides are this long to read
          all of them: write what it should be.
        </p>
      )}
      {side.siblings.length === 0 ? null : (
        <p className="syncline-case-reason">In the same change: {side.siblings.join('; ')}</p>
      )}
      {use === undefined ? null : (
        <button
          type="button"
          className="syncline-button syncline-button-primary"
          disabled={busy}
          aria-label={`Use this: what ${author} wrote`}
          onClick={use}
        >
          Use this
        </button>
      )}
    </li>
  );
}

/** Whether a side is what is shown now: of a text also one that came to the same. */
export function isShown(side: Alternative, region: TextRegion | undefined): boolean {
  if (side.provisional || region === undefined) return side.provisional;
  return side.wholeBytes === undefined && region.wholeShownBytes === undefined && side.value === region.shown;
}

/** What a side offers. */
function offerWords({ opaque, value, action }: Alternative): string {
  if (opaque) return NEWER_WORDS;
  return value === undefined ? ACTION_WORDS[action] : valueWords(value);
}

const ACTION_WORDS: Readonly<Record<MutationKind, string>> = {
  create_record: 'Created the record',
  delete_record: 'Deleted the record',
  restore_record: 'Brought the record back',
  set_field: 'Set it',
  edit_text: 'Edited the text',
  replace_text: 'Replaced the text',
  increment_counter: 'Added to it',
  assign_counter: 'Set it',
  add_elements: 'Added to it',
  remove_elements: 'Removed from it',
  clear_elements: 'Emptied it',
  link_record: 'Linked to it',
  unlink_record: 'Removed the link',
  defer_conflict: 'Put it aside',
  assign_conflict: 'Gave it to somebody',
  reopen_conflict: 'Opened it again',
  decide_text: 'Decided the text',
  unknown: NEWER_WORDS,
};
