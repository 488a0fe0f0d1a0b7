import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RecordView } from '../../src/api.js';
import { ReplicaCore } from '../../src/replica/core.js';
import { TestClient, emptySlot } from './client.js';
import { RECORDS, Run, SCHEMA, reloaded, steps } from './model.js';
import { encode, nextChain } from './server.js';

/** `SYNCLINE_MODEL_RUNS=5000` looks harder. */
const runs = (usual: number) => ({ numRuns: Number(process.env.SYNCLINE_MODEL_RUNS ?? usual) });

function viewsOf(replica: ReplicaCore): readonly (RecordView | undefined)[] {
  return RECORDS.map((id) => replica.view(id));
}

/** Without what a store does not keep: what is not saved yet is pending after a restart. */
function shownBy(replica: ReplicaCore): unknown {
  return viewsOf(replica).map(
    (view) => view && { deleted: view.deleted, fields: view.fields, conflicts: view.conflictIds },
  );
}

describe('random runs', () => {
  it('T1 C3 S3: views are what the server rebuilds, and everybody ends with the same', () => {
    fc.assert(
      fc.property(steps, (all) => {
        const run = new Run();
        for (const step of all) run.step(step);
        run.settle();
        const fresh = new TestClient('fresh', run.server);
        fresh.receive();
        for (const client of run.clients) {
          expect(client.replica.pending().filter((pending) => !pending.doomed)).toEqual([]);
          expect(viewsOf(client.replica)).toEqual(viewsOf(fresh.replica));
          expect(client.replica.cursor).toEqual(fresh.replica.cursor);
        }
      }),
      runs(300),
    );
  });

  it('what is shown step by step is what a restart shows', () => {
    fc.assert(
      fc.property(steps, (all) => {
        const run = new Run();
        for (const step of all) {
          run.step(step);
          for (const { replica } of run.clients) {
            // Doomed operations are found out again by a receipt only.
            if (replica.pending().some((pending) => pending.doomed)) continue;
            const again = reloaded(replica);
            again.setSchema(SCHEMA);
            expect(shownBy(again)).toEqual(shownBy(replica));
          }
        }
      }),
      runs(60),
    );
  });

  it('S2: views that were handed out never change, and change only when they are said to', () => {
    fc.assert(
      fc.property(steps, (all) => {
        const known = new Map<string, { view: RecordView | undefined; copy: string }>();
        const text = (view: RecordView | undefined): string =>
          JSON.stringify(view, (_name, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value));
        const run = new Run((client, change) => {
          for (const id of RECORDS) {
            const key = `${client.name}/${id}`;
            const before = known.get(key);
            const view = client.view(id);
            if (before !== undefined) {
              expect(text(before.view)).toBe(before.copy);
              if (!change.all && !change.recordIds.has(id)) expect(view).toBe(before.view);
              if (text(view) === before.copy) expect(view).toBe(before.view);
            }
            known.set(key, { view, copy: text(view) });
          }
        });
        // A restart makes all objects anew.
        for (const step of all) if (step[1] < 97) run.step(step);
        run.settle();
      }),
      runs(150),
    );
  });

  it('a snapshot and the feed after it give the same as the feed from the beginning', () => {
    fc.assert(
      fc.property(steps, fc.nat(1000), fc.nat(1000), (all, a, b) => {
        const run = new Run();
        for (const step of all) run.step(step);
        run.settle();
        const { server } = run;
        if (server.head === 0) return;
        // Parts are read one after the other while the history goes on; the feed's own position stays where it began.
        const first = a % (server.head + 1);
        const second = first + (b % (server.head - first + 1));
        const at = (seq: number): ReplicaCore => {
          const client = new TestClient('x', server);
          client.receive(seq);
          return client.replica;
        };
        const part = (seq: number, ids: readonly string[], conflicts: boolean) => ({
          records: [...at(seq).state.records.values()]
            .filter((record) => ids.includes(record.recordId))
            .map((record) => ({ ...record, asOfSeq: seq })),
          conflicts: conflicts ? [...at(seq).state.conflicts.values()] : [],
        });
        const replica = new ReplicaCore('w', encode, nextChain);
        replica.load({ records: [], conflicts: [], textTail: [] }, emptySlot('new'));
        replica.setSchema(SCHEMA);
        const cursor = server.cursor(first);
        const builder = replica.beginSnapshot(cursor, 'scratch');
        builder.enter(cursor, part(first, ['r0', 'r1'], false));
        expect(builder.applyFrame(server.frame(first, second)).type).toBe('gap');
        builder.enter(cursor, part(second, ['r2', 'r3'], true));
        expect(builder.whole()).toBeUndefined();
        builder.finish(cursor, second);
        expect(builder.whole() === undefined).toBe(second > first);
        if (first < second) expect(builder.applyFrame(server.frame(first, second)).type).toBe('applied');
        expect(builder.whole()).toBeDefined();
        if (second < server.head) builder.applyFrame(server.frame(second, server.head));
        const whole = builder.whole();
        if (whole === undefined) throw new Error('the snapshot is not whole');
        expect(replica.whole).toBe(false);
        replica.adopt(whole);
        const fresh = at(server.head);
        expect(shownBy(replica)).toEqual(shownBy(fresh));
        expect(replica.cursor).toEqual(fresh.cursor);
        expect(replica.whole).toBe(true);
      }),
      runs(150),
    );
  });
});
