import { type FieldKey, dotKey, fieldKey } from '../domain/dot.js';
import type { Dot, DotKey, FieldId, RecordId, Seq } from '../domain/ids.js';
import { Problem } from '../domain/problem.js';
import { applyHunks } from '../domain/text/hunk.js';
import type { TextWindow } from '../domain/text/window.js';
import { TEXT_TAIL_EDITS_KEPT } from '../limits.js';
import type { TextTailRow } from '../store/store.js';
import {
  type PendingEdit,
  type TextShown,
  approximateText,
  bridge,
  rowAuthor,
  settledWindow,
  textOver,
} from './text-view.js';

/** Rows beyond the kept ones that may gather before some are dropped, so that not every edit drops one. */
const PRUNE_SLACK = 64;

/** Pending edits of one text and what they show. */
interface EditedText {
  readonly recordId: RecordId;
  readonly fieldId: FieldId;
  /** In the order of counters. */
  readonly edits: Map<DotKey, PendingEdit>;
  /** Settled edits only; extended by each settled one, undefined until it is needed. */
  window: TextWindow | undefined;
  /** What is shown; undefined when it has to be worked out again. */
  shown: TextShown | undefined;
  /** Changes between snapshots, known in this run only. */
  bridges: TextTailRow[];
}

/** The tails of all texts, and the texts with pending edits. */
export class Texts {
  private readonly tails = new Map<FieldKey, TextTailRow[]>();
  private readonly edited = new Map<FieldKey, EditedText>();
  /** Before this no tail is known. */
  private fromSeq: Seq = 0;

  /** Starts over with these tails; pending edits stay and are worked out again. */
  reset(rows: readonly TextTailRow[], fromSeq: Seq): void {
    this.tails.clear();
    this.fromSeq = fromSeq;
    for (const row of rows) {
      const key = fieldKey(row.recordId, row.fieldId);
      const tail = this.tails.get(key);
      if (tail === undefined) this.tails.set(key, [row]);
      else tail.push(row);
    }
    for (const tail of this.tails.values()) tail.sort((a, b) => a.seq - b.seq);
    for (const text of this.edited.values()) {
      text.window = undefined;
      text.shown = undefined;
    }
  }

  get tailFromSeq(): Seq {
    return this.fromSeq;
  }

  rows(): readonly TextTailRow[] {
    return [...this.tails.values()].flat();
  }

  tail(recordId: RecordId, fieldId: FieldId): readonly TextTailRow[] {
    return this.tails.get(fieldKey(recordId, fieldId)) ?? [];
  }

  /** Takes in a settled edit. */
  settle(row: TextTailRow): void {
    const key = fieldKey(row.recordId, row.fieldId);
    const tail = this.tails.get(key);
    if (tail === undefined) this.tails.set(key, [row]);
    else tail.push(row);
    const text = this.edited.get(key);
    if (text === undefined) return;
    text.shown = undefined;
    try {
      text.window?.replay(rowAuthor(row), row.seq, row.hunks);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      // Its author's base lies before the window: the window is built anew, from further back.
      text.window = undefined;
    }
  }

  /** Drops what no pending edit can need; says up to where. */
  prune(recordId: RecordId, fieldId: FieldId): Seq | undefined {
    const key = fieldKey(recordId, fieldId);
    const tail = this.tails.get(key);
    if (tail === undefined || tail.length <= TEXT_TAIL_EDITS_KEPT + PRUNE_SLACK) return undefined;
    const edits = this.edited.get(key)?.edits.values() ?? [];
    const needed = Math.min(...[...edits].map((edit) => edit.author.baseSeq), Number.MAX_SAFE_INTEGER);
    const most = tail.length - TEXT_TAIL_EDITS_KEPT;
    let count = 0;
    while (count < most && (tail[count]?.seq ?? 0) <= needed) count++;
    const last = count === 0 ? undefined : tail[count - 1]?.seq;
    // As long as something is needed, so are the edits concurrent with it, which may reach further back.
    if (last === undefined || needed < Number.MAX_SAFE_INTEGER) return undefined;
    tail.splice(0, count);
    return last;
  }

  /** Puts a pending edit on top. `text` is what it shows when it was made on what is shown; else it is worked out. */
  add(recordId: RecordId, fieldId: FieldId, edit: PendingEdit, before: TextShown | undefined): void {
    const key = fieldKey(recordId, fieldId);
    let text = this.edited.get(key);
    if (text === undefined) {
      text = { recordId, fieldId, edits: new Map(), window: undefined, shown: undefined, bridges: [] };
      this.edited.set(key, text);
    }
    text.edits.set(dotKey(edit.author.dot), edit);
    text.shown = before === undefined ? undefined : after(before, edit);
  }

  /** Takes a pending edit away: it settled, was rejected, or is not shown any more. */
  remove(recordId: RecordId, fieldId: FieldId, dot: DotKey): void {
    const key = fieldKey(recordId, fieldId);
    const text = this.edited.get(key);
    if (text === undefined || !text.edits.delete(dot)) return;
    text.shown = undefined;
    if (text.edits.size === 0) this.edited.delete(key);
  }

  clearPending(): void {
    this.edited.clear();
  }

  /** Whether pending edits change what is shown of this text. */
  isEdited(recordId: RecordId, fieldId: FieldId): boolean {
    return this.edited.has(fieldKey(recordId, fieldId));
  }

  /** The confirmed text was exchanged for another one (a snapshot): what is known of the way there. */
  bridge(recordId: RecordId, fieldId: FieldId, seq: Seq, before: string, now: string): void {
    const text = this.edited.get(fieldKey(recordId, fieldId));
    if (text === undefined || before === now) return;
    text.bridges.push(bridge(recordId, fieldId, seq, before, now));
    text.shown = undefined;
  }

  editedFields(): readonly { readonly recordId: RecordId; readonly fieldId: FieldId }[] {
    return [...this.edited.values()];
  }

  /** What is shown of a text. `trunk` is the confirmed text at `position`. */
  shown(recordId: RecordId, fieldId: FieldId, trunk: string, position: Seq): TextShown {
    const text = this.edited.get(fieldKey(recordId, fieldId));
    if (text === undefined) return { text: trunk, exact: true };
    text.shown ??= this.workOut(text, trunk, position);
    return text.shown;
  }

  /** What is shown of a text with the pending edits up to this one; undefined when that is not certain. */
  textUpTo(recordId: RecordId, fieldId: FieldId, dot: Dot, trunk: string, position: Seq): string | undefined {
    const text = this.edited.get(fieldKey(recordId, fieldId));
    if (text === undefined) return undefined;
    const until = [...text.edits.keys()].indexOf(dotKey(dot));
    if (until < 0) return undefined;
    this.workOut(text, trunk, position);
    return text.window && textOver(text.window, position, [...text.edits.values()].slice(0, until + 1))?.text;
  }

  private workOut(text: EditedText, trunk: string, position: Seq): TextShown {
    const pending = [...text.edits.values()];
    const tail = this.tail(text.recordId, text.fieldId);
    // A tail that may have been pruned reaches back to its first row only.
    const prunedTo = tail.length >= TEXT_TAIL_EDITS_KEPT ? (tail[0]?.seq ?? 1) - 1 : 0;
    const past = { trunk, position, tail, tailFromSeq: Math.max(this.fromSeq, prunedTo) };
    text.window ??= settledWindow(past, Math.min(...pending.map((edit) => edit.author.baseSeq)));
    const shown = text.window === undefined ? undefined : textOver(text.window, position, pending);
    if (shown !== undefined) return shown;
    const known = [...text.bridges, ...tail].sort((a, b) => a.seq - b.seq);
    return { text: approximateText({ ...past, tail: known }, pending), exact: false };
  }
}

/** What is shown after an edit that was made on what was shown before. */
function after(before: TextShown, edit: PendingEdit): TextShown {
  if (typeof edit.wanted === 'string') return { text: edit.wanted, exact: false };
  return { text: applyHunks(before.text, edit.wanted), exact: before.exact };
}
