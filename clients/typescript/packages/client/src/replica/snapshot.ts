import type { ChangesFrame, ConfirmedRecord, Loaded } from '../domain/change.js';
import type { ConflictSummary } from '../domain/conflict.js';
import type { ConflictId, Cursor, RecordId, Seq } from '../domain/ids.js';
import type { Schema } from '../domain/schema.js';
import { foldFrame, isLive } from './fold-frame.js';
import type { FrameVerdict, NextChain, SnapshotBuilder, WholeSnapshot } from './replica.js';
import { STORE_LAYOUT, noChange } from './state.js';

/** What a copy starts with. */
export interface SnapshotBase {
  readonly records: ReadonlyMap<RecordId, ConfirmedRecord>;
  readonly conflicts: ReadonlyMap<ConflictId, ConflictSummary>;
}

/** Another copy of the confirmed state in the making. */
export class Snapshot implements SnapshotBuilder {
  private readonly records: Map<RecordId, ConfirmedRecord>;
  /** Closed ones stay until the end: an older picture that comes later must not bring them back. */
  private readonly conflicts: Map<ConflictId, ConflictSummary>;
  private completeFromSeq: Seq | undefined;
  stored: boolean;

  constructor(
    private position: Cursor,
    base: SnapshotBase | undefined,
    private readonly nextChain: NextChain,
    private readonly schema: () => Schema | undefined,
  ) {
    this.records = new Map(base?.records);
    this.conflicts = new Map(base?.conflicts);
    this.stored = base === undefined;
  }

  get cursor(): Cursor {
    return this.position;
  }

  enter(cursor: Cursor, loaded: Loaded): Loaded {
    this.position = cursor;
    for (const record of loaded.records) this.records.set(record.recordId, record);
    const conflicts = loaded.conflicts.filter((conflict) => {
      const known = this.conflicts.get(conflict.conflictId);
      return known === undefined || known.revision <= conflict.revision;
    });
    for (const conflict of conflicts) this.conflicts.set(conflict.conflictId, conflict);
    return { records: loaded.records, conflicts };
  }

  leave(cursor: Cursor, recordIds: readonly RecordId[]): void {
    this.position = cursor;
    // Rows that were kept already are not taken out one by one: the store gets all of it at the end.
    this.stored = false;
    const left = new Set(recordIds);
    for (const id of left) this.records.delete(id);
    for (const [id, conflict] of this.conflicts) if (left.has(conflict.recordId)) this.conflicts.delete(id);
  }

  finish(cursor: Cursor, completeFromSeq: Seq): void {
    this.position = cursor;
    this.completeFromSeq = completeFromSeq;
  }

  applyFrame(frame: ChangesFrame): FrameVerdict {
    const before = this.position.seqInclusive;
    // While a feed loads its position does not move.
    if (this.completeFromSeq === undefined) return { type: 'gap', expectedSeq: before, gotSeq: frame.toSeqInclusive };
    const folded = foldFrame(
      {
        cursor: this.position,
        record: (id) => this.records.get(id),
        conflict: (id) => this.conflicts.get(id),
        nextChain: this.nextChain,
      },
      frame,
    );
    if (folded.type !== 'folded') return folded;
    for (const [id, record] of folded.records) this.records.set(id, record);
    for (const [id, conflict] of folded.conflicts) this.conflicts.set(id, conflict);
    this.position = folded.cursor;
    const writes = {
      fromSeqExclusive: before,
      meta: this.meta(),
      records: [...folded.records.values()],
      conflicts: [...folded.conflicts.values()],
      textTail: [],
      textTailPruned: [],
      ownDots: frame.changes.map(({ dot, seq }) => ({ dot, seq })),
    };
    return { type: 'applied', view: noChange(), writes, settled: [] };
  }

  whole(): WholeSnapshot | undefined {
    const { completeFromSeq } = this;
    if (completeFromSeq === undefined || this.position.seqInclusive < completeFromSeq) return undefined;
    return {
      meta: this.meta(),
      records: this.records,
      conflicts: new Map([...this.conflicts].filter(([, conflict]) => isLive(conflict))),
      textTail: [],
    };
  }

  private meta(): WholeSnapshot['meta'] {
    const cursor = this.position;
    const schema = this.schema();
    const meta = {
      layout: STORE_LAYOUT,
      cursor,
      wholeFromSeq: cursor.seqInclusive,
      textTailFromSeq: cursor.seqInclusive,
    };
    return schema === undefined ? meta : { ...meta, schema };
  }
}
