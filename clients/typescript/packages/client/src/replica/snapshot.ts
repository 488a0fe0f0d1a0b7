import type { ChangesFrame, ConfirmedField, ConfirmedRecord, SnapshotChunk } from '../domain/change.js';
import type { ConflictSummary } from '../domain/conflict.js';
import { type KindOf, asKind, foldEffect } from '../domain/fold.js';
import type { ConflictId, Cursor, FieldId, RecordId, Seq } from '../domain/ids.js';
import type { Schema } from '../domain/schema.js';
import { type LateEffect, foldFrame, isLive } from './fold-frame.js';
import type { FrameVerdict, NextChain, SnapshotBuilder, WholeSnapshot } from './replica.js';
import { STORE_LAYOUT, noChange } from './state.js';

/** Another copy of the confirmed state in the making. */
export class Snapshot implements SnapshotBuilder {
  private readonly records = new Map<RecordId, ConfirmedRecord>();
  /** Closed ones stay until the end: an older picture in a later chunk must not bring them back. */
  private readonly conflicts = new Map<ConflictId, ConflictSummary>();
  private readonly late = new Map<RecordId, LateEffect[]>();
  private position: Cursor | undefined;
  private lastChunkSeq: Seq = 0;
  private complete = false;

  constructor(
    private readonly kindOf: KindOf,
    private readonly nextChain: NextChain,
    private readonly schema: () => Schema | undefined,
  ) {}

  get cursor(): Cursor | undefined {
    return this.position;
  }

  add(chunk: SnapshotChunk): {
    readonly records: readonly ConfirmedRecord[];
    readonly conflicts: readonly ConflictSummary[];
  } {
    this.position ??= chunk.cursor;
    this.lastChunkSeq = Math.max(this.lastChunkSeq, chunk.cursor.seqInclusive);
    this.complete ||= chunk.complete;
    const records: ConfirmedRecord[] = [];
    for (const given of chunk.records) {
      const known = this.records.get(given.recordId);
      // The feed may be further than the chunk.
      if (known !== undefined && known.lastSeq > given.asOfSeq) continue;
      const record = this.caughtUp(this.withKinds(given));
      this.records.set(record.recordId, record);
      records.push(record);
    }
    const conflicts: ConflictSummary[] = [];
    for (const conflict of chunk.conflicts) {
      const known = this.conflicts.get(conflict.conflictId);
      if (known !== undefined && known.revision > conflict.revision) continue;
      this.conflicts.set(conflict.conflictId, conflict);
      conflicts.push(conflict);
    }
    return { records, conflicts };
  }

  /** The feed was ahead of this chunk: what it did to the record before it came is folded now. */
  private caughtUp(record: ConfirmedRecord): ConfirmedRecord {
    const late = this.late.get(record.recordId) ?? [];
    this.late.delete(record.recordId);
    return late
      .filter(({ seq }) => seq > record.asOfSeq)
      .reduce((now, { seq, effect }) => foldEffect(now, effect, seq, this.kindOf), record);
  }

  private withKinds(record: ConfirmedRecord): ConfirmedRecord {
    let fields: Map<FieldId, ConfirmedField> | undefined;
    for (const [fieldId, field] of record.fields) {
      const state = asKind(field.state, this.kindOf(record.collectionId, fieldId));
      if (state !== field.state) (fields ??= new Map(record.fields)).set(fieldId, { ...field, state });
    }
    return fields === undefined ? record : { ...record, fields };
  }

  applyFrame(frame: ChangesFrame): FrameVerdict {
    if (this.position === undefined) return { type: 'gap', expectedSeq: 0, gotSeq: frame.fromSeqExclusive };
    const before = this.position.seqInclusive;
    const folded = foldFrame(
      {
        cursor: this.position,
        record: (id) => this.records.get(id),
        conflict: (id) => this.conflicts.get(id),
        kindOf: this.kindOf,
        nextChain: this.nextChain,
        partial: !this.complete,
      },
      frame,
    );
    if (folded.type !== 'folded') return folded;
    for (const [id, record] of folded.records) this.records.set(id, record);
    for (const [id, conflict] of folded.conflicts) this.conflicts.set(id, conflict);
    for (const effect of folded.late) {
      const id = effect.effect.recordId;
      const late = this.late.get(id);
      if (late === undefined) this.late.set(id, [effect]);
      else late.push(effect);
    }
    this.position = folded.cursor;
    const writes = {
      fromSeqExclusive: before,
      meta: this.meta(folded.cursor),
      records: [...folded.records.values()],
      conflicts: [...folded.conflicts.values()],
      textTail: [],
      textTailPruned: [],
      ownDots: frame.changes.map(({ dot, seq }) => ({ dot, seq })),
    };
    return { type: 'applied', view: noChange(), writes, settled: [] };
  }

  whole(): WholeSnapshot | undefined {
    const cursor = this.position;
    if (!this.complete || cursor === undefined || cursor.seqInclusive < this.lastChunkSeq) return undefined;
    return {
      meta: this.meta(cursor),
      records: this.records,
      conflicts: new Map([...this.conflicts].filter(([, conflict]) => isLive(conflict))),
      textTail: [],
    };
  }

  private meta(cursor: Cursor): WholeSnapshot['meta'] {
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
