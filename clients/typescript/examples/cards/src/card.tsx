import { SyncMark } from '@syncline/react';
import type { ReactElement } from 'react';
import { memo } from 'react';
import { Avatar } from './avatar.js';
import { useOptimisticUpdates, type CardRow } from './schema.js';

export const titleOf = ({ title }: { readonly title: string | null }): string =>
  title === null || title === '' ? 'Untitled' : title;

/** One card. Rows are the same objects until they change, so a board of many cards renders only what changed. */
export const Card = memo(function Card(props: {
  readonly row: CardRow;
  readonly open: (id: string) => void;
  readonly before: string | undefined;
  readonly after: string | undefined;
  readonly move: (card: string, to: string) => void;
}): ReactElement {
  const { row, open, before, after, move } = props;
  const { id, fields } = row;
  const { body, tags } = fields;
  const title = titleOf(fields);
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
        <p className="card-blocked">Blocked by {blockers.map((blocker) => titleOf(blocker.fields)).join(', ')}</p>
      )}
      <footer>
        <Votes id={id} title={title} votes={fields.votes} />
        <ul className="tags" aria-label={`Tags of ${title}`}>
          {tags.map((tag) => (
            <li key={tag}>{tag}</li>
          ))}
        </ul>
        <span className="card-people">
          {assignees.map((person) => (
            <Avatar key={person.id} name={person.fields.name ?? person.id} />
          ))}
        </span>
      </footer>
    </article>
  );
});

function Votes(props: { readonly id: string; readonly title: string; readonly votes: number | bigint }): ReactElement {
  const { mutate } = useOptimisticUpdates();
  const votes = String(props.votes);
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
