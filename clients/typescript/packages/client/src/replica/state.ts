import type { RecordView, SyncMark } from '../api.js';
import type { ConfirmedRecord } from '../domain/change.js';
import type { ConflictSummary } from '../domain/conflict.js';
import { dotKey } from '../domain/dot.js';
import { type KindOf, declaredKind, emptyState } from '../domain/fold.js';
import type { CollectionId, ConflictId, Cursor, FieldId, RecordId, Seq } from '../domain/ids.js';
import type { Mutation } from '../domain/operation.js';
import type { Schema } from '../domain/schema.js';
import { authorOf } from '../domain/text/author.js';
import type { FieldKind, FieldState } from '../domain/value.js';
import type { StoreMeta, TextTailRow } from '../store/store.js';
import { type OverlayRecord, applyOwn, copyOverlay, overlayOf, textWishes } from './overlay.js';
import { PendingQueue, isVisible, touchedRecords } from './queue.js';
import { recordView } from './record-view.js';
import type { PendingOperation, ViewChange } from './replica.js';
import { ShownIndex } from './shown.js';
import type { TextShown } from './text-view.js';
import { Texts } from './texts.js';

/** Layout of the stored rows. */
export const STORE_LAYOUT = 3;

/** What a call changed, while it is being collected. */
export interface Changing {
  readonly recordIds: Set<RecordId>;
  readonly conflictIds: Set<ConflictId>;
  all: boolean;
}

export function noChange(): Changing {
  return { recordIds: new Set(), conflictIds: new Set(), all: false };
}

/** A record is shown anew. */
export type ShownListener = (recordId: RecordId) => void;

/**
 * Confirmed state, the queue, and the overlay of the one on the other, with everything derived from them. It keeps
 * them consistent; what may happen to them is decided in core.ts.
 */
export class ReplicaState {
  cursor: Cursor | undefined;
  wholeFromSeq: Seq = 0;
  schema: Schema | undefined;
  records = new Map<RecordId, ConfirmedRecord>();
  /** Live ones. Replaced by a copy when it changes, since it is handed out. */
  conflicts: ReadonlyMap<ConflictId, ConflictSummary> = new Map();
  readonly queue = new PendingQueue();
  readonly texts = new Texts();
  private readonly index = new ShownIndex();
  /** Records with visible pending operations. */
  private readonly overlay = new Map<RecordId, OverlayRecord>();
  private conflictsOf = new Map<RecordId, ConflictSummary[]>();
  /** Kinds of fields no schema declares, by `collection.field`: the first own action on them decides. */
  private readonly derived = new Map<string, FieldKind>();

  constructor(
    private readonly onShown: ShownListener,
    /** The schema of the program: it says what fields are as long as the server's does not. */
    readonly program?: Schema,
  ) {}

  get position(): Seq {
    return this.cursor?.seqInclusive ?? 0;
  }

  /** Confirmed state is somebody's real state. Before, only own operations are shown. */
  get whole(): boolean {
    return this.cursor !== undefined && this.position >= this.wholeFromSeq;
  }

  readonly kindOf: KindOf = (collectionId, fieldId) =>
    declaredKind(this.schema, collectionId, fieldId) ??
    declaredKind(this.program, collectionId, fieldId) ??
    this.derived.get(`${collectionId}.${fieldId}`);

  /** The strict one of the two schemas that does not have the collection, or its field. */
  strictWithout(collectionId: CollectionId, fieldId?: FieldId): 'server' | 'program' | undefined {
    const lacks = (schema: Schema | undefined): boolean => {
      if (!schema?.strict) return false;
      const collection = schema.collections.get(collectionId);
      return collection === undefined || (fieldId !== undefined && !collection.has(fieldId));
    };
    if (lacks(this.schema)) return 'server';
    return lacks(this.program) ? 'program' : undefined;
  }

  deriveKind(collectionId: CollectionId, fieldId: FieldId, kind: FieldKind): void {
    if (this.kindOf(collectionId, fieldId) === undefined) this.derived.set(`${collectionId}.${fieldId}`, kind);
  }

  meta(): StoreMeta | undefined {
    if (this.cursor === undefined) return undefined;
    return {
      layout: STORE_LAYOUT,
      cursor: this.cursor,
      wholeFromSeq: this.wholeFromSeq,
      textTailFromSeq: this.texts.tailFromSeq,
      ...(this.schema && { schema: this.schema }),
    };
  }

  // --- Replacing confirmed state ---------------------------------------------------------------------------------------

  /** Everything confirmed is exchanged; the queue stays on top. */
  replace(
    meta: StoreMeta | undefined,
    records: Map<RecordId, ConfirmedRecord>,
    conflicts: ReadonlyMap<ConflictId, ConflictSummary>,
    tail: readonly TextTailRow[],
  ): void {
    this.cursor = meta?.cursor;
    this.wholeFromSeq = meta?.wholeFromSeq ?? 0;
    if (meta?.schema && (this.schema === undefined || meta.schema.version > this.schema.version))
      this.schema = meta.schema;
    this.records = records;
    this.conflicts = conflicts;
    this.texts.reset(tail, meta?.textTailFromSeq ?? 0);
    this.indexConflicts();
    this.showAll();
  }

  /** A newer schema: what is shown of empty and of opaque fields depends on it. */
  useSchema(schema: Schema): void {
    this.schema = schema;
    this.showAll();
  }

  private showAll(): void {
    this.index.clear();
    this.overlay.clear();
    for (const id of this.records.keys()) this.reindex(id);
    for (const id of this.queue.touchedRecords()) this.recompute(id, noChange());
  }

  // --- The queue -------------------------------------------------------------------------------------------------------

  /** Puts an operation on top. When what is shown already has it (`staged`), nothing is worked out again. */
  push(pending: PendingOperation, staged: ReadonlyMap<RecordId, OverlayRecord> | undefined, change: Changing): void {
    this.queue.add(pending);
    const visible = isVisible(pending);
    if (visible) this.addTexts(pending, staged !== undefined);
    for (const id of touchedRecords(pending)) {
      const state = staged?.get(id);
      if (visible && state !== undefined) this.put(id, state, change);
      else this.recompute(id, change);
    }
  }

  private addTexts(pending: PendingOperation, onShown: boolean): void {
    const { operation } = pending;
    const author = authorOf(operation.dot, operation.context);
    for (const { recordId, fieldId, wanted } of textWishes(operation, this.kindOf)) {
      const before = onShown ? this.text(recordId, fieldId) : undefined;
      this.texts.add(recordId, fieldId, { author, wanted }, before);
    }
  }

  /** Puts an operation's text edits on top that were there before it was shown (load, acceptance): all is worked out. */
  showTexts(dots: readonly PendingOperation[]): void {
    for (const pending of dots) if (isVisible(pending)) this.addTexts(pending, false);
  }

  /** Takes an operation's text edits away, whatever the reason. */
  hideTexts(pending: PendingOperation): void {
    const key = dotKey(pending.operation.dot);
    for (const { recordId, fieldId } of textWishes(pending.operation, this.kindOf)) {
      this.texts.remove(recordId, fieldId, key);
    }
  }

  /** All pending text edits in counter order, after one joined that is not the last. */
  reorderTexts(): void {
    this.texts.clearPending();
    this.showTexts(this.queue.all());
  }

  // --- Showing ---------------------------------------------------------------------------------------------------------

  confirmedText(recordId: RecordId, fieldId: FieldId): string {
    const state = this.records.get(recordId)?.fields.get(fieldId)?.state;
    return state?.kind === 'text' ? state.text : '';
  }

  /** A text as shown, and whether positions in it may be sent. */
  text(recordId: RecordId, fieldId: FieldId): TextShown {
    return this.texts.shown(recordId, fieldId, this.confirmedText(recordId, fieldId), this.position);
  }

  /** A copy of a record's state with what is pending on top; undefined when there is none. */
  overlayCopy(id: RecordId): OverlayRecord | undefined {
    const overlay = this.overlay.get(id);
    if (overlay !== undefined) return copyOverlay(overlay);
    const record = this.shownConfirmed(id);
    return record && overlayOf(record);
  }

  private shownConfirmed(id: RecordId): ConfirmedRecord | undefined {
    return this.whole ? this.records.get(id) : undefined;
  }

  /** Works out a record anew after its confirmed state or its pending operations changed. */
  recompute(id: RecordId, change: Changing): void {
    const visible = this.queue.touching(id).filter(isVisible);
    if (visible.length === 0) {
      this.overlay.delete(id);
      this.changed(id, change);
      return;
    }
    const confirmed = this.shownConfirmed(id);
    let state = confirmed && overlayOf(confirmed);
    for (const { operation } of visible) {
      for (const mutation of operation.mutations) if (mutation.recordId === id) state = this.apply(state, mutation);
    }
    if (state !== undefined) {
      for (const [fieldId, field] of state.fields) {
        if (field.kind !== 'text' || !this.texts.isEdited(id, fieldId)) continue;
        state.fields.set(fieldId, { kind: 'text', text: this.text(id, fieldId).text });
      }
      this.overlay.set(id, state);
    } else {
      this.overlay.delete(id);
    }
    this.changed(id, change);
  }

  private apply(state: OverlayRecord | undefined, mutation: Mutation): OverlayRecord | undefined {
    return applyOwn(state, mutation, this.kindOf, 'leave');
  }

  private put(id: RecordId, state: OverlayRecord, change: Changing): void {
    this.overlay.set(id, state);
    this.changed(id, change);
  }

  private changed(id: RecordId, change: Changing): void {
    change.recordIds.add(id);
    this.onShown(id);
    if (!this.reindex(id)) return;
    for (const source of this.index.sourcesOf(id)) {
      this.index.touch(source);
      change.recordIds.add(source);
    }
  }

  private reindex(id: RecordId): boolean {
    const overlay = this.overlay.get(id);
    if (overlay !== undefined) return this.index.update(id, overlay);
    const record = this.shownConfirmed(id);
    return this.index.update(id, record && { ...record, fields: states(record) });
  }

  /** A mark changed, but not the content. */
  touch(id: RecordId, change: Changing): void {
    this.index.touch(id);
    change.recordIds.add(id);
  }

  view(id: RecordId): RecordView | undefined {
    return this.index.view(id, (before) => this.makeView(id, before));
  }

  private makeView(id: RecordId, before: RecordView | undefined): RecordView | undefined {
    const confirmed = this.shownConfirmed(id);
    const overlay = this.overlay.get(id);
    return this.viewOf(id, overlay, confirmed, before);
  }

  /** A record as it would be shown with this on top. */
  viewOf(
    id: RecordId,
    overlay: OverlayRecord | undefined,
    confirmed: ConfirmedRecord | undefined = this.shownConfirmed(id),
    before?: RecordView,
    isShown: (target: RecordId) => boolean = (target) => this.index.isShown(target),
  ): RecordView | undefined {
    const shown = overlay ?? confirmed;
    if (shown === undefined) return undefined;
    const fields = [...this.shownFields(shown.collectionId, overlay?.fields ?? (confirmed ? states(confirmed) : []))];
    const opaque = fields.flatMap(([fieldId, state]) => (state.kind === 'opaque' ? [fieldId] : []));
    const marks = this.marks(id, opaque);
    return recordView(
      {
        recordId: id,
        collectionId: shown.collectionId,
        deleted: shown.deleted,
        fields,
        opaque,
        seq: confirmed?.lastSeq ?? 0,
        ...marks,
        conflictIds: (this.conflictsOf.get(id) ?? []).map((conflict) => conflict.conflictId),
      },
      before,
      isShown,
    );
  }

  /** The fields of a record, those of unknown kinds as such, and the empty ones that the schema of the program has. */
  private *shownFields(
    collectionId: CollectionId,
    fields: Iterable<readonly [FieldId, FieldState]>,
  ): Iterable<readonly [FieldId, FieldState]> {
    const server = this.schema?.collections.get(collectionId);
    const declared = this.program?.collections.get(collectionId) ?? [];
    const present = new Set<FieldId>();
    for (const field of fields) {
      present.add(field[0]);
      yield server?.get(field[0])?.kind === 'opaque' ? [field[0], emptyState('opaque')] : field;
    }
    for (const [fieldId, { kind }] of declared) {
      if (!present.has(fieldId)) yield [fieldId, emptyState(this.kindOf(collectionId, fieldId) ?? kind)];
    }
  }

  isShown(id: RecordId): boolean {
    return this.index.isShown(id);
  }

  idsOf(collection: CollectionId): Iterable<RecordId> {
    return this.index.idsOf(collection);
  }

  linkedFrom(target: RecordId, collection: CollectionId, field: FieldId): Iterable<RecordId> {
    return this.index.linkedFrom(target, collection, field);
  }

  private marks(
    id: RecordId,
    opaque: readonly FieldId[],
  ): { readonly sync: SyncMark; readonly fieldSync: Readonly<Record<FieldId, SyncMark>> } {
    const conflicts = this.conflictsOf.get(id) ?? [];
    let sync: SyncMark = conflicts.length > 0 ? 'conflict' : opaque.length > 0 ? 'opaque' : 'synced';
    const fieldSync: Record<FieldId, SyncMark> = {};
    for (const fieldId of opaque) fieldSync[fieldId] = 'opaque';
    for (const { fieldIds } of conflicts) for (const fieldId of fieldIds) fieldSync[fieldId] = 'conflict';
    if (!this.queue.isTouched(id)) return { sync, fieldSync };
    for (const pending of this.queue.touching(id)) {
      if (pending.cancelled || pending.doomed) continue;
      const mark: SyncMark = pending.saved ? 'pending' : 'unsaved';
      if (sync !== 'unsaved') sync = mark;
      for (const { recordId, action } of pending.operation.mutations) {
        if (recordId !== id) continue;
        const fields = action.type === 'create' ? action.fields.keys() : 'fieldId' in action ? [action.fieldId] : [];
        for (const field of fields) if (fieldSync[field] !== 'unsaved') fieldSync[field] = mark;
      }
    }
    return { sync, fieldSync };
  }

  // --- Conflicts -------------------------------------------------------------------------------------------------------

  useConflicts(
    changed: ReadonlyMap<ConflictId, ConflictSummary>,
    isLive: (c: ConflictSummary) => boolean,
    change: Changing,
  ): void {
    if (changed.size === 0) return;
    const conflicts = new Map(this.conflicts);
    const touched = new Set<RecordId>();
    for (const [id, conflict] of changed) {
      const before = conflicts.get(id);
      if (before !== undefined) touched.add(before.recordId);
      touched.add(conflict.recordId);
      if (isLive(conflict)) conflicts.set(id, conflict);
      else conflicts.delete(id);
      change.conflictIds.add(id);
    }
    this.conflicts = conflicts;
    this.indexConflicts();
    for (const id of touched) this.touch(id, change);
  }

  private indexConflicts(): void {
    this.conflictsOf = new Map();
    for (const conflict of this.conflicts.values()) {
      const list = this.conflictsOf.get(conflict.recordId);
      if (list === undefined) this.conflictsOf.set(conflict.recordId, [conflict]);
      else list.push(conflict);
    }
  }
}

function* states(record: ConfirmedRecord): Iterable<readonly [FieldId, FieldState]> {
  for (const [id, field] of record.fields) yield [id, field.state];
}

/** As the interface has it. */
export function viewChange(change: Changing): ViewChange {
  return change;
}
