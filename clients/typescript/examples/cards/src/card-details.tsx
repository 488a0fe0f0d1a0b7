import { SyncMark } from '@syncline/react';
import type { ReactElement } from 'react';
import { useId, useState } from 'react';
import { titleOf } from './card.js';
import { useLiveQuery, useOptimisticUpdates, useRecord, useTextField, type CardRecord } from './schema.js';

/** Everything of one card, to be edited. */
export function CardDetails(props: {
  readonly id: string;
  readonly gone: () => void;
  readonly openInbox: () => void;
}): ReactElement {
  const { id, gone, openInbox } = props;
  const record = useRecord<'cards'>(id);
  const { mutate } = useOptimisticUpdates();
  if (record === undefined || record.deleted) {
    return (
      <p className="syncline-empty">
        This card was deleted.{' '}
        {record === undefined ? null : (
          <button
            type="button"
            className="syncline-button"
            onClick={() => {
              mutate((tx) => {
                tx.restore(id);
              });
            }}
          >
            Bring it back
          </button>
        )}
      </p>
    );
  }
  return (
    <div className="details">
      {record.conflictIds.length === 0 ? null : (
        <p className="details-conflict">
          Others changed the same thing.{' '}
          <button type="button" className="syncline-button" onClick={openInbox}>
            Decide
          </button>
        </p>
      )}
      <Title record={record} />
      <Body id={id} />
      <Tags record={record} />
      <div className="details-links">
        <Column record={record} />
        <Assignees record={record} />
        <Blockers record={record} />
      </div>
      <button
        type="button"
        className="syncline-button syncline-button-danger"
        onClick={() => {
          mutate((tx) => {
            tx.delete(id);
          });
          gone();
        }}
      >
        Delete this card
      </button>
    </div>
  );
}

/** A title is one value: it is written when its author is done, with what they were looking at when they began. */
function Title({ record }: { readonly record: CardRecord }): ReactElement {
  const { mutate } = useOptimisticUpdates();
  const [draft, setDraft] = useState<{ readonly text: string; readonly since: number }>();
  const id = useId();
  const shown = titleOf(record.fields);
  const done = () => {
    if (draft && draft.text !== shown) {
      mutate((tx) => {
        tx.set(record.id, 'title', draft.text, { observed: draft.since });
      });
    }
    setDraft(undefined);
  };
  return (
    <div className="field">
      <label htmlFor={id}>
        Title <SyncMark recordId={record.id} field="title" />
      </label>
      <input
        id={id}
        value={draft?.text ?? shown}
        onChange={(event) => {
          setDraft({ text: event.target.value, since: draft?.since ?? record.seq });
        }}
        onBlur={done}
        onKeyDown={(event) => {
          if (event.key === 'Enter') done();
        }}
      />
    </div>
  );
}

/** A text is edited by position: everybody can write into it at once. */
function Body({ id }: { readonly id: string }): ReactElement {
  const { props, mark, problem } = useTextField(id, 'body');
  const areaId = useId();
  return (
    <div className="field">
      <label htmlFor={areaId}>
        Text <SyncMark recordId={id} field="body" />
      </label>
      <textarea id={areaId} rows={7} data-mark={mark} {...props} />
      {problem ? (
        <p className="syncline-problem" role="alert">
          This is not kept: {problem.message}.
        </p>
      ) : null}
    </div>
  );
}

function Tags({ record }: { readonly record: CardRecord }): ReactElement {
  const { mutate } = useOptimisticUpdates();
  const [draft, setDraft] = useState('');
  const id = useId();
  const { tags } = record.fields;
  return (
    <form
      className="field"
      onSubmit={(event) => {
        event.preventDefault();
        if (draft.trim() === '') return;
        mutate((tx) => {
          tx.add(record.id, 'tags', draft.trim());
        });
        setDraft('');
      }}
    >
      <label htmlFor={id}>Tags</label>
      <div className="tags-editor">
        {tags.map((tag) => (
          <span key={tag} className="tag">
            {tag}
            <button
              type="button"
              aria-label={`Remove the tag ${tag}`}
              onClick={() => {
                mutate((tx) => {
                  tx.remove(record.id, 'tags', tag);
                });
              }}
            >
              ×
            </button>
          </span>
        ))}
        <input
          id={id}
          value={draft}
          placeholder="Add a tag…"
          onChange={(event) => {
            setDraft(event.target.value);
          }}
        />
      </div>
    </form>
  );
}

function Column({ record }: { readonly record: CardRecord }): ReactElement {
  const { mutate } = useOptimisticUpdates();
  const columns = useLiveQuery({ collection: 'columns', orderBy: [{ field: 'position' }] });
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>Column</label>
      <select
        id={id}
        value={record.fields.column ?? ''}
        onChange={(event) => {
          mutate((tx) => {
            tx.link(record.id, 'column', event.target.value);
          });
        }}
      >
        {columns.rows.map((row) => (
          <option key={row.id} value={row.id}>
            {row.fields.name ?? row.id}
          </option>
        ))}
      </select>
    </div>
  );
}

function Assignees({ record }: { readonly record: CardRecord }): ReactElement {
  const { rows } = useLiveQuery({ collection: 'people' });
  const people = rows.map(({ id, fields }) => ({ id, name: fields.name ?? id }));
  return <Links record={record} field="assignees" label="Assigned to" options={people} />;
}

function Blockers({ record }: { readonly record: CardRecord }): ReactElement {
  const { rows } = useLiveQuery({ collection: 'cards' });
  const others = rows.filter(({ id }) => id !== record.id);
  const cards = others.map(({ id, fields }) => ({ id, name: titleOf(fields) }));
  return <Links record={record} field="blocked_by" label="Blocked by" options={cards} />;
}

/** A to-many field as check boxes. */
function Links(props: {
  readonly record: CardRecord;
  readonly field: 'assignees' | 'blocked_by';
  readonly label: string;
  readonly options: readonly { readonly id: string; readonly name: string }[];
}): ReactElement {
  const { record, field, label, options } = props;
  const { mutate } = useOptimisticUpdates();
  const linked = new Set<string>(record.fields[field]);
  return (
    <fieldset className="field">
      <legend>{label}</legend>
      {options.map(({ id, name }) => (
        <label key={id} className="check">
          <input
            type="checkbox"
            checked={linked.has(id)}
            onChange={(event) => {
              const { checked } = event.target;
              mutate((tx) => {
                if (checked) tx.link(record.id, field, id);
                else tx.unlink(record.id, field, id);
              });
            }}
          />
          {name}
        </label>
      ))}
    </fieldset>
  );
}
