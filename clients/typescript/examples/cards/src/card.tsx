import type { IncludeSpec, Row } from '@syncline/client';
import { SyncMark, useOptimisticUpdates } from '@syncline/react';
import type { ReactElement } from 'react';
import { memo } from 'react';
import { Avatar } from './avatar.js';

export interface CardIncludes extends IncludeSpec {
  readonly assignees: { readonly via: 'assignees' };
  readonly blockers: { readonly via: 'blocked_by' };
}
export type CardRow = Row<{ assignees: { via: string }; blockers: { via: string } }>;

export const titleOf = (fields: Readonly<Record<string, unknown>>): string => {
  const title = fields['title'];
  return typeof title === 'string' && title !== '' ? title : 'Untitled';
};

/** One card. Rows are the same objects until they change, so a board of many cards renders only what changed. */
export const Card = memo(function Card(props: {
  readonly row: CardRow;
  readonly open: (id: string) => void;
  readonly before: string | undefined;
  readonly after: string | undefined;
  readonly move: (card: string, to: string) => void;
}): ReactElement {
  const { row, open, before, after, move } = props;
  const { id, fields } = row.record;
  const title = titleOf(fields);
  const body = typeof fields['body'] === 'string' ? fields['body'] : '';
  const tags = Array.isArray(fields['tags']) ? fields['tags'] : [];
  const { assignees, blockers } = row.include;
  return (
    <article
      className="card"
      data-card={id}
      draggable
      onDragStart={(event) => {
        event.dataTransfer.setData('text/syncline-card', id);
      }}
    >
      <header>
        <button
          type="button"
          className="card-title"
          onClick={() => {
            open(id);
          }}
        >
          {title}
        </button>
        <span className="card-movers">
          <Mover label={`Move ${title} left`} to={before} glyph="‹" card={id} move={move} />
          <Mover label={`Move ${title} right`} to={after} glyph="›" card={id} move={move} />
        </span>
        <SyncMark recordId={id} />
      </header>
      {body === '' ? null : <p className="card-body">{body}</p>}
      {blockers.length === 0 ? null : (
        <p className="card-blocked">Blocked by {blockers.map(({ record }) => titleOf(record.fields)).join(', ')}</p>
      )}
      <footer>
        <Votes id={id} title={title} votes={fields['votes']} />
        <ul className="tags" aria-label={`Tags of ${title}`}>
          {tags.map((tag) => (
            <li key={String(tag)}>{String(tag)}</li>
          ))}
        </ul>
        <span className="card-people">
          {assignees.map(({ record }) => (
            <Avatar key={record.id} name={String(record.fields['name'] ?? record.id)} />
          ))}
        </span>
      </footer>
    </article>
  );
});

function Votes(props: { readonly id: string; readonly title: string; readonly votes: unknown }): ReactElement {
  const { mutate } = useOptimisticUpdates();
  const votes = typeof props.votes === 'number' || typeof props.votes === 'bigint' ? String(props.votes) : '0';
  return (
    <button
      type="button"
      className="votes"
      aria-label={`Vote for ${props.title}, ${votes} so far`}
      onClick={() => {
        mutate((tx) => {
          tx.increment(props.id, 'votes');
        });
      }}
    >
      ▲ {votes}
    </button>
  );
}

/** For those who do not drag. */
function Mover(props: {
  readonly label: string;
  readonly to: string | undefined;
  readonly glyph: string;
  readonly card: string;
  readonly move: (card: string, to: string) => void;
}): ReactElement {
  const { label, to, glyph, card, move } = props;
  return (
    <button
      type="button"
      className="mover"
      aria-label={label}
      disabled={to === undefined}
      onClick={() => {
        if (to !== undefined) move(card, to);
      }}
    >
      {glyph}
    </button>
  );
}
