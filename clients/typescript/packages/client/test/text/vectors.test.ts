import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { Splice } from '../../src/domain/change.js';
import type { Hunk } from '../../src/domain/operation.js';
import type { TextAuthor } from '../../src/domain/text/author.js';
import { diff } from '../../src/domain/text/diff.js';
import { applyHunks } from '../../src/domain/text/hunk.js';
import { applySplices, undoSplices } from '../../src/domain/text/splice.js';
import { TextWindow } from '../../src/domain/text/window.js';
import { settledWindow, textOver } from '../../src/replica/text-view.js';
import type { TextTailRow } from '../../src/store/store.js';

interface VectorOperation {
  readonly replica: number;
  readonly counter: number;
  readonly base_seq: number;
  readonly extras: readonly (readonly [number, number])[];
  readonly seq: number;
  readonly view: string;
  readonly hunks: readonly (readonly [number, number, string])[];
  readonly suppressed_by: readonly (number | null)[];
  readonly splices: readonly (
    { readonly retain: number } | { readonly insert: string } | { readonly delete: string }
  )[];
  readonly text: string;
}

interface Vectors {
  readonly sessions: readonly {
    readonly seed: number;
    readonly with_extras: boolean;
    readonly base_text: string;
    readonly operations: readonly VectorOperation[];
  }[];
  readonly diffs: readonly { readonly old: string; readonly new: string; readonly hunks: VectorOperation['hunks'] }[];
}

const path = fileURLToPath(new URL('../../../../../vectors/text.json', import.meta.url));
const vectors = JSON.parse(readFileSync(path, 'utf8')) as Vectors;

function authorOf(operation: VectorOperation): TextAuthor {
  return {
    dot: { replicaId: `r${operation.replica}`, counter: operation.counter },
    baseSeq: operation.base_seq,
    extras: operation.extras.map(([replica, counter]) => ({ replicaId: `r${replica}`, counter })),
  };
}

function hunksOf(hunks: VectorOperation['hunks']): readonly Hunk[] {
  return hunks.map(([position, deleteCount, insert]) => ({ position, deleteCount, insert }));
}

function splicesOf(operation: VectorOperation): readonly Splice[] {
  return operation.splices.map((splice) => {
    if ('retain' in splice) return { type: 'retain', count: splice.retain };
    return 'insert' in splice ? { type: 'insert', text: splice.insert } : { type: 'delete', text: splice.delete };
  });
}

function rowOf(operation: VectorOperation): TextTailRow {
  const author = authorOf(operation);
  return {
    recordId: 'x',
    fieldId: 't',
    seq: operation.seq,
    ...author,
    hunks: hunksOf(operation.hunks).map((hunk, index) => {
      const suppressedBySeq = operation.suppressed_by[index] ?? undefined;
      return suppressedBySeq === undefined ? { hunk } : { hunk, suppressedBySeq };
    }),
    splices: splicesOf(operation),
  };
}

describe.each(vectors.sessions)('session $seed (extras: $with_extras)', ({ base_text, operations, with_extras }) => {
  it('the order tree gives the same views, decisions, effects and texts as the server', () => {
    const window = TextWindow.over(base_text, 0);
    let text = base_text;
    for (const operation of operations) {
      const author = authorOf(operation);
      expect(window.view(author)).toBe(operation.view);
      const { splices, hunks } = window.integrate(author, operation.seq, hunksOf(operation.hunks));
      expect(hunks.map((hunk) => hunk.suppressedBySeq ?? null)).toEqual(operation.suppressed_by);
      expect(splices).toEqual(splicesOf(operation));
      expect(window.text()).toBe(operation.text);
      expect(applySplices(text, splices)).toBe(operation.text);
      expect(undoSplices(operation.text, splices)).toBe(text);
      text = operation.text;
    }
  });

  it('replaying what was decided gives the same tree as deciding', () => {
    const window = TextWindow.over(base_text, 0);
    for (const operation of operations) {
      expect(window.view(authorOf(operation))).toBe(operation.view);
      window.replay(authorOf(operation), operation.seq, rowOf(operation).hunks);
      expect(window.text()).toBe(operation.text);
    }
  });

  // A client that knows operations beyond its prefix knows where its own stand among them; that is another question.
  it.skipIf(with_extras)('T1: what a client shows is what the server rebuilds, from the critical base on', () => {
    for (const operation of operations) {
      const { replicaId, counter } = authorOf(operation).dot;
      const position = operation.base_seq;
      const own = operations.filter((other) => `r${other.replica}` === replicaId && other.counter < counter);
      const unsettled = own.filter((other) => other.seq > position).sort((a, b) => a.counter - b.counter);
      const pending = unsettled.map((other) => ({ author: authorOf(other), wanted: hunksOf(other.hunks) }));
      const tail = operations.filter((other) => other.seq <= position).map(rowOf);
      const trunk = operations[position - 1]?.text ?? base_text;
      const oldest = Math.min(position, ...pending.map((edit) => edit.author.baseSeq));
      const window = settledWindow({ trunk, position, tail, tailFromSeq: 0 }, oldest);
      if (window === undefined) throw new Error('the tail reaches back to the beginning');
      expect(textOver(window, position, pending)).toEqual({ text: operation.view, exact: true });
    }
  });
});

describe('comparing texts', () => {
  it.each(vectors.diffs)('"$old" and "$new"', ({ old, new: after, hunks }) => {
    expect(diff(old, after)).toEqual(hunksOf(hunks));
    expect(applyHunks(old, diff(old, after))).toBe(after);
  });
});
