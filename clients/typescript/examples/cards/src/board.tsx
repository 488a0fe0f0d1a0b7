import { useConnection } from '@syncline/react';
import type { ReactElement } from 'react';
import { useMemo, useState } from 'react';
import { Card } from './card.js';
import { newCardId } from './new-card-id.js';
import { CARD_INCLUDES, useLiveQuery, useOptimisticUpdates, type CardRow, type ColumnRow } from './schema.js';

/** Columns with their cards, live. */
export function Board(props: { readonly workspace: string; readonly openCard: (id: string) => void }): ReactElement {
  const columns = useLiveQuery({ collection: 'columns', orderBy: [{ field: 'position' }] });
  const cards = useLiveQuery({ collection: 'cards', include: CARD_INCLUDES });
  const byColumn = useMemo(() => grouped(columns.rows, cards.rows), [columns.rows, cards.rows]);
  const { mutate } = useOptimisticUpdates();
  if (columns.rows.length === 0) return <NoColumns status={columns.status} workspace={props.workspace} />;
  return (
    <div className="board">
      {columns.rows.map(({ id, fields }, index) => (
        <Column
          key={id}
          id={id}
          name={fields.name ?? id}
          cards={byColumn.get(id) ?? []}
          before={columns.rows[index - 1]?.id}
          after={columns.rows[index + 1]?.id}
          openCard={props.openCard}
          move={(card, to) => {
            mutate((tx) => {
              tx.link(card, 'column', to);
            });
          }}
        />
      ))}
    </div>
  );
}

/** Cards by column; a card without one stands in the first. */
function grouped(columns: readonly ColumnRow[], cards: readonly CardRow[]): Map<string, CardRow[]> {
  const groups = new Map<string, CardRow[]>(columns.map((row) => [row.id, []]));
  const first = columns[0]?.id ?? '';
  for (const row of cards) {
    const group = groups.get(row.fields.column ?? first) ?? groups.get(first);
    group?.push(row);
  }
  return groups;
}

function Column(props: {
  readonly id: string;
  readonly name: string;
  readonly cards: readonly CardRow[];
  readonly before: string | undefined;
  readonly after: string | undefined;
  readonly openCard: (id: string) => void;
  readonly move: (card: string, to: string) => void;
}): ReactElement {
  const { id, name, cards, before, after, openCard, move } = props;
  const [over, setOver] = useState(false);
  return (
    <div
      className="column"
      role="group"
      aria-label={name}
      data-over={over}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => {
        setOver(false);
      }}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        const card = event.dataTransfer.getData('text/syncline-card');
        if (card !== '' && !cards.some((row) => row.id === card)) move(card, id);
      }}
    >
      <h3 className="column-title">
        {name} <span className="column-count">{cards.length}</span>
      </h3>
      <ul className="column-cards">
        {cards.map((row) => (
          <li key={row.id}>
            <Card row={row} open={openCard} before={before} after={after} move={move} />
          </li>
        ))}
      </ul>
      {cards.length === 0 ? <p className="column-empty">No cards here.</p> : null}
      <AddCard column={id} name={name} />
    </div>
  );
}

function AddCard({ column, name }: { readonly column: string; readonly name: string }): ReactElement {
  const { mutate } = useOptimisticUpdates();
  const [title, setTitle] = useState('');
  return (
    <form
      className="add-card"
      onSubmit={(event) => {
        event.preventDefault();
        if (title.trim() === '') return;
        const fields = { title: title.trim(), body: '', votes: 0, column };
        mutate((tx) => {
          tx.create('cards', newCardId(), fields);
        });
        setTitle('');
      }}
    >
      <input
        value={title}
        placeholder="Add a card…"
        aria-label={`New card in ${name}`}
        onChange={(event) => {
          setTitle(event.target.value);
        }}
      />
    </form>
  );
}

/** Before there is anything to show: why, and what to do. */
function NoColumns(props: {
  readonly status: 'loading' | 'partial' | 'ready';
  readonly workspace: string;
}): ReactElement {
  const { state, reason, snapshot, transport } = useConnection();
  if (reason === 'unknown_workspace') {
    return (
      <div className="board-message" role="alert">
        <h3>There is no workspace “{props.workspace}” on this server</h3>
        <p>
          <code>syncline dev</code> makes one called <code>demo</code>. Another one: <code>?workspace=…</code> in the
          address.
        </p>
      </div>
    );
  }
  if (props.status === 'ready') {
    return (
      <div className="board-message">
        <h3>This board is empty</h3>
        <p>It has no columns yet.</p>
        <MakeColumns />
      </div>
    );
  }
  if (state === 'offline' || (transport !== 'up' && transport !== 'connecting')) {
    return (
      <div className="board-message">
        <h3>Nothing is kept here yet</h3>
        <p>This browser has not seen the board before. It appears as soon as the server can be reached.</p>
      </div>
    );
  }
  return (
    <div className="board-message" role="status">
      <h3>Loading the board…</h3>
      {snapshot && snapshot.estimated > 0 ? (
        <progress aria-label="Loading" max={snapshot.estimated} value={snapshot.received} />
      ) : (
        <progress aria-label="Loading" />
      )}
    </div>
  );
}

function MakeColumns(): ReactElement {
  const { mutate } = useOptimisticUpdates();
  return (
    <button
      type="button"
      className="syncline-button syncline-button-primary"
      onClick={() => {
        mutate((tx) => {
          for (const [index, name] of ['To do', 'Doing', 'Done'].entries()) {
            tx.create('columns', name.toLowerCase().replace(' ', ''), { name, position: index + 1 });
          }
        });
      }}
    >
      Make three columns
    </button>
  );
}
