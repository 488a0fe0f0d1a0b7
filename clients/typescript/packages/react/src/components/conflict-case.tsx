import type { ConflictItem, RecordView } from '@syncline/client';
import type { ReactElement } from 'react';
import { useId, useState } from 'react';
import { useConflicts } from '../hooks/use-conflicts.js';
import { ConflictContext } from './conflict-context.js';
import { ConflictSides } from './conflict-sides.js';
import { LaterControls } from './later-controls.js';
import { problemWords, useConflictDetail } from './use-conflict-detail.js';
import { clashWords, fieldsWords, kindWords } from './words.js';

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
          <ConflictSides
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
