import type { Alternative, ConflictDetail, ConflictItem, Decision, MutationKind, RecordView } from '@syncline/client';
import type { ReactElement } from 'react';
import { useId, useState } from 'react';
import { useConflicts } from '../hooks/use-conflicts.js';
import { ConflictContext } from './conflict-context.js';
import { DecisionEditor, canWrite } from './decision-editor.js';
import { DiffView } from './diff-view.js';
import { LaterControls } from './later-controls.js';
import { problemWords, useConflictDetail } from './use-conflict-detail.js';
import { clashWords, fieldsWords, kindWords, NEWER_WORDS, timeWords, valueWords } from './words.js';

interface CaseProps {
  readonly item: ConflictItem;
  readonly assignees: readonly string[];
  readonly titleOf: (record: RecordView) => string;
}

/** One conflict: what is shown now, both sides, the record around it, and every way to decide. */
export function ConflictCase({ item, assignees, titleOf }: CaseProps): ReactElement {
  const { summary, record, deciding } = item;
  const { detail, loading, problem, retry } = useConflictDetail(summary.conflictId, summary.revision);
  const conflicts = useConflicts();
  const [failure, setFailure] = useState<string>();
  const headingId = useId();
  const attempt = (action: () => unknown) => {
    try {
      action();
      setFailure(undefined);
    } catch (error) {
      setFailure(problemWords(error));
      retry();
    }
  };
  const busy = deciding === 'resolve';
  return (
    <article className="syncline-case" aria-labelledby={headingId} aria-busy={loading}>
      <h3 id={headingId}>
        {fieldsWords(summary.fieldIds)} of “{record ? titleOf(record) : summary.recordId}”
      </h3>
      <p className="syncline-case-reason">
        {detail
          ? clashWords(
              summary.kind,
              detail.alternatives.map((side) => side.actor),
            )
          : kindWords(summary.kind)}
      </p>
      {failure === undefined ? null : (
        <p className="syncline-problem" role="alert">
          {failure}
        </p>
      )}
      {detail === undefined ? (
        <Waiting problem={problem} retry={retry} />
      ) : (
        <>
          {problem === undefined ? null : <Waiting problem={problem} retry={retry} />}
          <Sides
            detail={detail}
            record={record}
            busy={busy || loading}
            decide={(decision) => {
              attempt(() => conflicts.resolve(detail, decision));
            }}
          />
          <ConflictContext detail={detail} titleOf={titleOf} />
        </>
      )}
      <LaterControls
        summary={summary}
        assignees={assignees}
        disabled={busy}
        defer={(at) => {
          attempt(() => conflicts.defer(summary.conflictId, at));
        }}
        assign={(to) => {
          attempt(() => conflicts.assign(summary.conflictId, to));
        }}
        reopen={() => {
          attempt(() => conflicts.reopen(summary.conflictId));
        }}
      />
    </article>
  );
}

function Waiting(props: { readonly problem: string | undefined; readonly retry: () => void }): ReactElement {
  if (props.problem === undefined) return <p className="syncline-empty">Reading both sides…</p>;
  return (
    <p className="syncline-problem" role="status">
      {props.problem}{' '}
      <button type="button" className="syncline-button" onClick={props.retry}>
        Try again
      </button>
    </p>
  );
}

function Sides(props: {
  readonly detail: ConflictDetail;
  readonly record: RecordView | undefined;
  readonly busy: boolean;
  readonly decide: (decision: Decision) => void;
}): ReactElement {
  const { detail, record, busy, decide } = props;
  const { kind, fieldIds } = detail.summary;
  const [fieldId = ''] = fieldIds;
  const isText = kind === 'text_overlap';
  const current = record?.fields[fieldId];
  const [writing, setWriting] = useState(false);
  const newer = kind === 'unknown' || fieldIds.length > 1 || record?.opaque.includes(fieldId) === true;
  const choosable = (kind === 'register' || isText) && !newer;
  return (
    <>
      <ol className="syncline-sides" aria-label="Sides">
        {detail.alternatives.map((side) => (
          <Side
            key={`${String(side.seq)}/${side.dot.replicaId}`}
            side={side}
            current={isText && typeof current === 'string' ? current : undefined}
            busy={busy}
            {...(choosable &&
            side.opaque !== true &&
            (isText || side.wholeBytes === undefined) &&
            (side.state !== 'head') === isText
              ? {
                  use: () => {
                    decide({ type: 'alternative', seq: side.seq });
                  },
                }
              : {})}
          />
        ))}
      </ol>
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
        {choosable && canWrite(current ?? detail.baseValue) ? (
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
      {writing ? (
        <DecisionEditor
          kind={kind}
          initial={current ?? detail.baseValue}
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

const KEEP: Readonly<Record<ConflictDetail['summary']['kind'], string>> = {
  register: 'Keep what is shown',
  text_overlap: 'Keep what is shown',
  edit_delete: 'Keep the record',
  relationship: 'Keep both',
  unknown: NEWER_WORDS,
};

function Side(props: {
  readonly side: Alternative;
  readonly current: string | undefined;
  readonly busy: boolean;
  readonly use?: () => void;
}): ReactElement {
  const { side, current, busy, use } = props;
  const author = side.actor === '' ? 'Somebody' : side.actor;
  return (
    <li className="syncline-side">
      <header>
        <strong>{author}</strong>
        <span>{timeWords(side.clientTimeMs ?? side.commitTimeMs)}</span>
        {side.provisional ? <span className="syncline-tag">shown now</span> : null}
      </header>
      {side.hunk ? <TextSide side={side} current={current} /> : <p className="syncline-value">{offerWords(side)}</p>}
      {side.wholeBytes === undefined || side.hunk ? null : (
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

/** What somebody wrote into a text: against what is shown when the whole is known, else what it replaced. */
function TextSide({
  side,
  current,
}: {
  readonly side: Alternative;
  readonly current: string | undefined;
}): ReactElement {
  const insert = side.hunk?.insert ?? '';
  if (typeof side.value === 'string' && current !== undefined && side.value !== insert) {
    return <DiffView before={current} after={side.value} labels={['Shown now', 'With this']} />;
  }
  return (
    <DiffView
      before={side.replacedText}
      after={insert}
      labels={side.state === 'suppressed' ? ['Would replace', 'with'] : ['Replaced', 'with']}
    />
  );
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
  unknown: NEWER_WORDS,
};
