import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Condition, IncludeSpec, Query, QueryEvent, RecordView, Row } from '../../src/api.js';
import { compareStrings, compareValues, sameValue } from '../../src/domain/order.js';
import type { Value } from '../../src/domain/value.js';
import { createLiveQueries } from '../../src/query/live-queries.js';
import { TestClient } from '../replica/client.js';
import { RECORDS, Run, SCHEMA, steps } from '../replica/model.js';
import { TestServer } from '../replica/server.js';

const QUERIES: readonly Query<IncludeSpec>[] = [
  { collection: 'cards' },
  { collection: 'cards', where: { title: 1 } },
  {
    collection: 'cards',
    where: { field: 'votes', op: 'gt', value: 1 },
    orderBy: [{ field: 'votes', direction: 'desc' }],
  },
  { collection: 'cards', orderBy: [{ field: 'title' }, { field: 'body', direction: 'desc' }], limit: 2 },
  { collection: 'cards', where: { field: 'tags', op: 'contains', value: 1 }, limit: 1 },
  {
    collection: 'cards',
    where: { any: [{ field: 'owner', op: 'ne', value: null }, { not: { field: 'body', op: 'contains', value: 'x' } }] },
    include: { owner: { via: 'owner' }, links: { via: 'links', where: { title: 1 }, orderBy: [{ field: 'votes' }] } },
  },
  {
    collection: 'cards',
    orderBy: [{ field: 'votes' }],
    limit: 3,
    include: {
      owned: { via: 'owner', from: 'cards', include: { linked: { via: 'links', from: 'cards' } } },
      owner: { via: 'owner', include: { owned: { via: 'owner', from: 'cards', orderBy: [{ field: 'body' }] } } },
    },
  },
];

/** The same from scratch, in the plainest way. */
function naive(client: TestClient, query: Query<IncludeSpec>): readonly unknown[] {
  const all = RECORDS.map((id) => client.view(id)).filter(
    (view): view is RecordView => view !== undefined && !view.deleted,
  );
  const holds = (view: RecordView, where: Query['where']): boolean => {
    if (where === undefined) return true;
    if ('all' in where && Array.isArray(where.all))
      return (where.all as Condition[]).every((part) => holds(view, part));
    if ('any' in where && Array.isArray(where.any)) return (where.any as Condition[]).some((part) => holds(view, part));
    if ('not' in where && typeof where.not === 'object') return !holds(view, where.not as Condition);
    if (!('op' in where)) return Object.entries(where).every(([f, v]) => sameValue(view.fields[f], v as Value));
    const { field, op, value } = where as { field: string; op: string; value: Value };
    const now = view.fields[field] ?? null;
    if (op === 'gt') return typeof now === 'number' && now > (value as number);
    if (op === 'ne') return !sameValue(now, value);
    if (typeof now === 'string') return now.includes(value as string);
    return Array.isArray(now) && now.some((element) => sameValue(element as Value, value));
  };
  const sorted = (views: RecordView[], orderBy: Query['orderBy'] = []): RecordView[] =>
    views.sort((a, b) => {
      for (const { field, direction } of orderBy) {
        const order = compareValues(a.fields[field], b.fields[field]);
        if (order !== 0) return direction === 'desc' ? -order : order;
      }
      return compareStrings(a.id, b.id);
    });
  const row = (view: RecordView, include: IncludeSpec = {}): unknown => ({
    record: view,
    include: Object.fromEntries(
      Object.entries(include).map(([name, join]) => {
        const points = (from: RecordView, to: string): boolean => {
          const value = from.fields[join.via];
          return value === to || (Array.isArray(value) && value.includes(to));
        };
        const joined = all.filter((other) =>
          join.from === undefined ? points(view, other.id) : points(other, view.id),
        );
        return [
          name,
          sorted(
            joined.filter((other) => holds(other, join.where)),
            join.orderBy,
          ).map((r) => row(r, join.include)),
        ];
      }),
    ),
  });
  const matching = sorted(
    all.filter((view) => holds(view, query.where)),
    query.orderBy,
  );
  return matching.slice(0, query.limit ?? matching.length).map((view) => row(view, query.include));
}

/** As the documentation of the events says. */
function follow(
  rows: readonly Row<IncludeSpec>[],
  events: readonly QueryEvent<IncludeSpec>[],
): readonly Row<IncludeSpec>[] {
  const gone = new Set(events.flatMap((event) => ('previousIndex' in event ? [event.previousIndex] : [])));
  const list = rows.filter((_, index) => !gone.has(index));
  for (const event of events) if (event.type !== 'leave') list.splice(event.index, 0, event.row);
  return list;
}

describe('live queries', () => {
  afterEach(() => {
    vi.unstubAllGlobals();
  });

  it('are what an evaluation from scratch gives, after every change, and their events say how they came there', () => {
    fc.assert(
      fc.property(steps, (all) => {
        const engines = new Map<
          TestClient,
          (change: Parameters<ReturnType<typeof createLiveQueries>['changed']>[0]) => void
        >();
        const run = new Run((client, change) => engines.get(client)?.(change));
        for (const client of run.clients) {
          const queries = createLiveQueries({
            view: (id) => client.replica.view(id),
            idsOf: (collection) => client.replica.idsOf(collection),
            linkedFrom: (...of) => client.replica.linkedFrom(...of),
            get whole() {
              return client.replica.whole;
            },
            get loaded() {
              return client.replica.loaded;
            },
          } as typeof client.replica);
          const live = QUERIES.map((query) => {
            const shared = queries.query(query);
            const state = { followed: shared.getSnapshot().rows, calls: 0, shared, query };
            shared.events((events) => {
              state.followed = follow(state.followed, events);
              state.calls++;
            });
            return state;
          });
          engines.set(client, (change) => {
            const before = live.map(({ shared }) => shared.getSnapshot());
            queries.changed(change);
            for (const [index, state] of live.entries()) {
              const { rows } = state.shared.getSnapshot();
              expect(rows).toEqual(naive(client, state.query));
              expect(state.followed).toEqual(rows);
              for (const [at, row] of rows.entries()) expect(state.followed[at]).toBe(row);
              // S2: the same rows are the same object.
              const old = before[index];
              if (old && old.rows.length === rows.length && rows.every((row, at) => row === old.rows[at])) {
                expect(rows).toBe(old.rows);
              }
              for (const row of rows) {
                const same = old?.rows.find((other) => other.record.id === row.record.id);
                if (same && JSON.stringify(same) === JSON.stringify(row)) expect(row).toBe(same);
              }
            }
          });
        }
        // A restart makes all objects anew.
        for (const step of all) if (step[1] < 97) run.step(step);
        run.settle();
      }),
      { numRuns: 120 },
    );
  });

  function cards(): TestClient {
    const client = new TestClient('a', new TestServer(SCHEMA));
    client.mutate((tx) => {
      for (const [index, title] of ['c', 'a', 'b'].entries()) tx.create('cards', `k${index}`, { title, votes: index });
    });
    return client;
  }

  it('equal queries are one, and what nobody follows is evaluated when it is asked', () => {
    const client = cards();
    const queries = createLiveQueries(client.replica);
    const query = { collection: 'cards', orderBy: [{ field: 'title' }] } as const;
    const first = queries.query(query);
    expect(queries.query({ ...query })).toBe(first);
    const before = first.getSnapshot();
    expect(before.rows.map(({ record }) => record.id)).toEqual(['k1', 'k2', 'k0']);
    expect(first.getSnapshot()).toBe(before);
    const { view } = client.mutateWithView((tx) => {
      tx.set('k0', 'title', 'A');
    });
    queries.changed(view);
    const after = first.getSnapshot();
    expect(after.rows.map(({ record }) => record.id)).toEqual(['k0', 'k1', 'k2']);
    expect(after.rows[1]).toBe(before.rows[0]);
  });

  it('one change is one notification, after all queries are up to date; one listener that throws stops no other', () => {
    const client = cards();
    const queries = createLiveQueries(client.replica);
    const all = queries.query({ collection: 'cards' });
    const some = queries.query({ collection: 'cards', where: { title: 'new' } });
    const seen: number[] = [];
    const later: (() => void)[] = [];
    vi.stubGlobal('queueMicrotask', (run: () => void) => later.push(run));
    all.subscribe(() => {
      throw new Error('a listener');
    });
    all.subscribe(() => seen.push(some.getSnapshot().rows.length));
    some.subscribe(() => seen.push(-1));
    const { view } = client.mutateWithView((tx) => {
      tx.create('cards', 'k9', { title: 'new' });
    });
    queries.changed(view);
    expect(seen).toEqual([1, -1]);
    expect(later).toHaveLength(1);
    expect(later[0]).toThrow('a listener');
  });

  it('a record that comes to link to something in a row is joined, at any depth, and leaves with its link', () => {
    const client = cards();
    const queries = createLiveQueries(client.replica);
    const live = queries.query({
      collection: 'cards',
      where: { title: 'c' },
      include: { owned: { via: 'owner', from: 'cards', include: { linked: { via: 'links', from: 'cards' } } } },
    });
    live.subscribe(() => undefined);
    const ids = (): unknown =>
      live
        .getSnapshot()
        .rows.map((row) => [
          row.record.id,
          row.include.owned.map((owned) => [owned.record.id, owned.include.linked?.map((linked) => linked.record.id)]),
        ]);
    const change = (build: Parameters<TestClient['mutate']>[0]): void => {
      queries.changed(client.mutateWithView(build).view);
    };
    expect(ids()).toEqual([['k0', []]]);
    change((tx) => {
      tx.link('k1', 'owner', 'k0');
    });
    expect(ids()).toEqual([['k0', [['k1', []]]]]);
    change((tx) => {
      tx.link('k2', 'links', 'k1');
    });
    expect(ids()).toEqual([['k0', [['k1', ['k2']]]]]);
    change((tx) => {
      tx.unlink('k2', 'links', 'k1');
    });
    expect(ids()).toEqual([['k0', [['k1', []]]]]);
    change((tx) => {
      tx.delete('k1');
    });
    expect(ids()).toEqual([['k0', []]]);
  });

  it('a query that nobody follows any more hears nothing', () => {
    const client = cards();
    const queries = createLiveQueries(client.replica);
    const all = queries.query({ collection: 'cards' });
    let calls = 0;
    const end = all.subscribe(() => calls++);
    queries.changed(
      client.mutateWithView((tx) => {
        tx.delete('k0');
      }).view,
    );
    end();
    queries.changed(
      client.mutateWithView((tx) => {
        tx.delete('k1');
      }).view,
    );
    expect(calls).toBe(1);
    expect(all.getSnapshot().rows).toHaveLength(1);
  });

  it('refuses what is no query', () => {
    const queries = createLiveQueries(cards().replica);
    expect(() => queries.query({ collection: '' })).toThrow();
    expect(() => queries.query({ collection: 'cards', limit: -1 })).toThrow();
    const unknown = { field: 'a', op: 'like', value: 'x' } as unknown as Condition;
    expect(() => queries.query({ collection: 'cards', where: { all: [unknown] } })).toThrow();
  });
});
