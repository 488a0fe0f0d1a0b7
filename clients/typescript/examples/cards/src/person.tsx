import {
  ConflictInbox,
  ConnectionStatus,
  Notices,
  RejectedOperations,
  useConflicts,
  useConnection,
  usePresence,
} from '@syncline/react';
import type { ReactElement } from 'react';
import { useState } from 'react';
import { Avatar } from './avatar.js';
import { Board } from './board.js';
import { CardDetails } from './card-details.js';
import { Drawer } from './drawer.js';
import { useLiveQuery, useOptimisticUpdates } from './schema.js';

type Panel = { readonly type: 'inbox' | 'rejected' } | { readonly type: 'card'; readonly id: string };

/** What one person sees: their board, their connection, and what waits for them. */
export function Person({ name, workspace }: { readonly name: string; readonly workspace: string }): ReactElement {
  const [panel, setPanel] = useState<Panel>();
  const { items: conflicts } = useConflicts();
  const { rejected, undo, redo, canUndo, canRedo } = useOptimisticUpdates();
  const people = useLiveQuery({ collection: 'people', orderBy: [{ field: 'name' }] });
  const close = () => {
    setPanel(undefined);
  };
  return (
    <section className="person" aria-label={`${name}’s board`}>
      <header className="person-header">
        <Avatar name={name} />
        <h2>{name}</h2>
        <NetworkSwitch />
        <Others />
        <span className="person-space" />
        <button type="button" className="syncline-button" disabled={!canUndo} onClick={undo}>
          Undo
        </button>
        <button type="button" className="syncline-button" disabled={!canRedo} onClick={redo}>
          Redo
        </button>
        <Badge
          label="Conflicts"
          amount={conflicts.length}
          open={() => {
            setPanel({ type: 'inbox' });
          }}
        />
        {rejected.length > 0 || panel?.type === 'rejected' ? (
          <Badge
            label="Refused"
            amount={rejected.length}
            open={() => {
              setPanel({ type: 'rejected' });
            }}
          />
        ) : null}
      </header>
      <div className="person-body">
        <Board
          workspace={workspace}
          openCard={(id) => {
            setPanel({ type: 'card', id });
          }}
        />
        <div className="person-foot">
          <Notices />
          <ConnectionStatus />
        </div>
        {panel?.type === 'inbox' ? (
          <Drawer title="Conflicts" close={close}>
            <ConflictInbox assignees={people.rows.map(({ id, fields }) => fields.name ?? id)} />
          </Drawer>
        ) : null}
        {panel?.type === 'rejected' ? (
          <Drawer title="Changes without effect" close={close}>
            <RejectedOperations />
          </Drawer>
        ) : null}
        {panel?.type === 'card' ? (
          <Drawer key={panel.id} title="Card" close={close}>
            <CardDetails
              id={panel.id}
              gone={close}
              openInbox={() => {
                setPanel({ type: 'inbox' });
              }}
            />
          </Drawer>
        ) : null}
      </div>
    </section>
  );
}

/** Takes this person off the network and back. The wish shows at once; the state follows. */
function NetworkSwitch(): ReactElement {
  const { reason, state, goOnline, goOffline } = useConnection();
  const asked = state === 'offline' && reason === 'asked';
  const [wish, setWish] = useState<{ readonly off: boolean; readonly over: boolean }>();
  const off = wish !== undefined && asked === wish.over ? wish.off : asked;
  return (
    <button
      type="button"
      className="switch"
      role="switch"
      aria-checked={!off}
      aria-label="Network"
      onClick={() => {
        setWish({ off: !off, over: asked });
        if (off) goOnline();
        else goOffline();
      }}
    >
      <span className="switch-track" aria-hidden="true" />
      {off ? 'Offline' : 'Online'}
    </button>
  );
}

/** Who else is connected. */
function Others(): ReactElement {
  const others = usePresence().filter((one) => !one.self);
  return (
    <ul className="others" aria-label="Also here">
      {others.slice(0, 6).map((one) => {
        const { roundTripMs } = one.quality;
        const delay = roundTripMs === undefined ? '' : `, ${String(Math.round(roundTripMs))} ms away`;
        return (
          <li key={one.connectionId}>
            <Avatar name={one.actor || '?'} title={`${one.actor || 'Somebody'} is here${delay}`} />
          </li>
        );
      })}
      {others.length > 6 ? <li>+{others.length - 6}</li> : null}
    </ul>
  );
}

function Badge(props: { readonly label: string; readonly amount: number; readonly open: () => void }): ReactElement {
  const { label, amount, open } = props;
  return (
    <button type="button" className="syncline-button badge" data-some={amount > 0} onClick={open}>
      {label}
      {amount > 0 ? <span className="badge-count">{amount}</span> : null}
    </button>
  );
}
