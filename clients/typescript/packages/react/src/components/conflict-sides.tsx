import type { Alternative, ConflictDetail, Decision, RecordView, Value } from '@syncline/client';
import type { ReactElement } from 'react';
import { useId, useState } from 'react';
import { BothChoices } from './both-choices.js';
import { ConflictSide, isShown } from './conflict-side.js';
import { DecisionEditor, canWrite } from './decision-editor.js';
import { VersionView } from './version-view.js';
import { beginningWords, NEWER_WORDS, valueWords } from './words.js';

/** The sides of a conflict, and every way to decide it. */
export function ConflictSides(props: {
  readonly detail: ConflictDetail;
  readonly record: RecordView | undefined;
  readonly busy: boolean;
  readonly decide: (decision: Decision) => void;
}): ReactElement {
  const { detail, record, busy, decide } = props;
  const { region, baseValue, alternatives } = detail;
  const { kind, fieldIds } = detail.summary;
  const [fieldId = ''] = fieldIds;
  const isText = kind === 'text_overlap';
  const [writing, setWriting] = useState(false);
  const baseId = useId();
  const newer = kind === 'unknown' || fieldIds.length > 1 || record?.opaque.includes(fieldId) === true;
  // Where in a text a conflict stands is not known of one that was decided, or from an older server.
  const choosable = !newer && (isText ? region !== undefined : kind === 'register');
  const hasBase = choosable && (isText ? typeof baseValue === 'string' : detail.baseExact);
  const initial = initialText(detail, record?.fields[fieldId]);
  const canUse = (side: Alternative) =>
    choosable && side.opaque !== true && side.wholeBytes === undefined && (isText || side.state === 'head');
  return (
    <>
      {hasBase ? (
        <p className="syncline-case-reason" id={baseId}>
          Before: {isText && baseValue === '' ? 'nothing' : beginningWords(valueWords(baseValue))}
        </p>
      ) : null}
      {choosable && isText ? <BothChoices detail={detail} busy={busy} decide={decide} /> : null}
      <ol className="syncline-sides" aria-label="Sides">
        {alternatives.map((side) => (
          <ConflictSide
            key={`${String(side.seq)}/${side.dot.replicaId}`}
            side={side}
            base={baseValue}
            region={isText ? region : undefined}
            busy={busy}
            {...(canUse(side) && {
              use: () => {
                decide({ type: 'alternative', seq: side.seq });
              },
            })}
          />
        ))}
      </ol>
      {isText && region !== undefined && !alternatives.some((side) => isShown(side, region)) ? (
        <div>
          <p className="syncline-case-reason">Shown now:</p>
          <VersionView label="Shown now" base={baseValue} version={region.shown} region={region} />
        </div>
      ) : null}
      <div className="syncline-actions" role="group" aria-label="Decide">
        <button
          type="button"
          className="syncline-button"
          disabled={busy || newer}
          title={newer ? NEWER_WORDS : undefined}
          onClick={() => {
            decide({ type: 'keep' });
          }}
        >
          {KEEP[kind]}
        </button>
        {hasBase ? (
          <button
            type="button"
            className="syncline-button"
            disabled={busy}
            aria-describedby={baseId}
            onClick={() => {
              decide({ type: 'base' });
            }}
          >
            Go back to before
          </button>
        ) : null}
        {kind === 'relationship' ? (
          <button
            type="button"
            className="syncline-button"
            disabled={busy}
            onClick={() => {
              decide({ type: 'unlink' });
            }}
          >
            Remove the link
          </button>
        ) : null}
        {kind === 'edit_delete' || kind === 'relationship' ? (
          <button
            type="button"
            className="syncline-button syncline-button-danger"
            disabled={busy}
            onClick={() => {
              decide({ type: 'delete' });
            }}
          >
            {kind === 'relationship' ? 'Delete the linked record' : 'Delete the record'}
          </button>
        ) : null}
        {choosable && initial !== undefined ? (
          <button
            type="button"
            className="syncline-button"
            disabled={busy}
            aria-expanded={writing}
            onClick={() => {
              setWriting(!writing);
            }}
          >
            Write another
          </button>
        ) : null}
      </div>
      {writing && initial !== undefined ? (
        <DecisionEditor
          kind={kind}
          initial={initial}
          busy={busy}
          decide={(decision) => {
            setWriting(false);
            decide(decision);
          }}
        />
      ) : null}
    </>
  );
}

/** What writing another begins with; undefined when it cannot be written in a form, or only the beginning of it is here. */
function initialText({ summary, region, baseValue }: ConflictDetail, current: Value | undefined): Value | undefined {
  if (summary.kind === 'text_overlap') return region?.wholeShownBytes === undefined ? region?.shown : undefined;
  const initial = current ?? baseValue;
  return canWrite(initial) ? initial : undefined;
}

const KEEP: Readonly<Record<ConflictDetail['summary']['kind'], string>> = {
  register: 'Keep what is shown',
  text_overlap: 'Keep what is shown',
  edit_delete: 'Keep the record',
  relationship: 'Keep both',
  unknown: NEWER_WORDS,
};
