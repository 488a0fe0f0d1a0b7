import type { ConflictItem, RecordView } from '@syncline/client';
import type { ReactElement } from 'react';
import { useEffect, useId, useRef, useState } from 'react';
import type { ConflictInboxProps } from '../api.js';
import { useConflicts } from '../hooks/use-conflicts.js';
import { ConflictCase } from './conflict-case.js';
import { fieldsWords, kindWords, timeWords } from './words.js';

/** A record's name, else its title, else its id. */
export function defaultTitleOf(record: Pick<RecordView, 'id' | 'fields'>): string {
  for (const field of ['title', 'name']) {
    const value = record.fields[field];
    if (typeof value === 'string' && value !== '') return value;
  }
  return record.id;
}

/** Live conflicts: a list, and the chosen one with everything needed to decide. */
export function ConflictInbox(props: ConflictInboxProps): ReactElement {
  const { filter, assignees = [], titleOf = defaultTitleOf, className } = props;
  const { items } = useConflicts(filter);
  const [chosenId, choose] = useState<string>();
  const open = items.filter((item) => item.summary.status === 'open');
  const deferred = items.filter((item) => item.summary.status === 'deferred');
  const chosen = items.find((item) => item.summary.conflictId === chosenId) ?? open[0];
  // A decision removes the button that made it: the focus stays in the inbox.
  const root = useRef<HTMLElement>(null);
  const focused = useRef(false);
  useEffect(() => {
    if (focused.current && document.activeElement === document.body) root.current?.focus();
  }, [items, chosen]);
  return (
    <section
      ref={root}
      className={`syncline-inbox ${className ?? ''}`}
      aria-label="Conflicts"
      tabIndex={-1}
      onFocus={() => {
        focused.current = true;
      }}
      onBlur={(event) => {
        if (event.relatedTarget !== null) focused.current = event.currentTarget.contains(event.relatedTarget);
      }}
    >
      {items.length === 0 ? (
        <p className="syncline-empty">Nothing to decide. Edits that clash appear here, with both sides.</p>
      ) : (
        <>
          <nav className="syncline-inbox-list" aria-label="Conflicts to decide">
            <Group title="To decide" items={open} chosen={chosen} choose={choose} titleOf={titleOf} />
            <Group title="Put aside" items={deferred} chosen={chosen} choose={choose} titleOf={titleOf} />
          </nav>
          {chosen === undefined ? (
            <p className="syncline-empty">Everything is put aside until its reminder.</p>
          ) : (
            <ConflictCase key={chosen.summary.conflictId} item={chosen} assignees={assignees} titleOf={titleOf} />
          )}
        </>
      )}
    </section>
  );
}

function Group(props: {
  readonly title: string;
  readonly items: readonly ConflictItem[];
  readonly chosen: ConflictItem | undefined;
  readonly choose: (id: string) => void;
  readonly titleOf: (record: RecordView) => string;
}): ReactElement | null {
  const { title, items, chosen, choose, titleOf } = props;
  const headingId = useId();
  if (items.length === 0) return null;
  return (
    <>
      <h3 id={headingId}>
        {title} <span className="syncline-count">{items.length}</span>
      </h3>
      <ul aria-labelledby={headingId}>
        {items.map(({ summary, record, deciding }) => (
          <li key={summary.conflictId}>
            <button
              type="button"
              aria-current={summary.conflictId === chosen?.summary.conflictId ? 'true' : undefined}
              onClick={() => {
                choose(summary.conflictId);
              }}
            >
              <strong>{record ? titleOf(record) : summary.recordId}</strong>
              <span>
                {fieldsWords(summary.fieldIds)} · {kindWords(summary.kind)}
              </span>
              {summary.assignee === undefined ? null : <span>for {summary.assignee}</span>}
              {summary.remindAtMs === undefined ? null : <span>reminds {timeWords(summary.remindAtMs)}</span>}
              {deciding === undefined ? null : <span className="syncline-deciding">deciding…</span>}
            </button>
          </li>
        ))}
      </ul>
    </>
  );
}
