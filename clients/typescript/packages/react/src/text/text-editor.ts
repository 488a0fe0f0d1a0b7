import { SynclineError, type Observable, type RecordView, type Syncline } from '@syncline/client';
import { partsOf } from './parts.js';
import { mapIndex, transformReplacement, hunkOf, replacementOfInput, replacements } from './transform.js';
import type { Replacement } from './transform.js';

/** Typing with a longer pause in between is another step of undo. */
const UNDO_PAUSE_MS = 1_000;

export type TextElement = HTMLTextAreaElement | HTMLInputElement;

/** A text as shown; empty while there is none. */
export function textOf(view: RecordView | undefined, field: string): string {
  const value = view?.fields[field];
  return typeof value === 'string' ? value : '';
}

export interface TextField {
  readonly client: Syncline;
  readonly record: Observable<RecordView | undefined>;
  readonly id: string;
  readonly field: string;
  /**
   * What the element shows while that is not the text of the record: what an input method is writing, or what could not be
   * kept, with the reason. Undefined when the two are the same.
   */
  readonly onDraft: (draft: string | undefined, problem?: SynclineError) => void;
}

/**
 * Keeps one element and one text of a record the same. Input becomes an operation with its position; others' edits go
 * into the element before React renders them, so that the caret stays where it was in the text instead of jumping to
 * the end. While an input method composes, the element belongs to it.
 */
export class TextEditor {
  private element: TextElement | null = null;
  /** What the element shows, apart from input that is being looked at. */
  private base: string;
  private composing = false;
  private applying = false;
  /** The element has text that could not be kept. It stays there until its user changes it. */
  private refused = false;
  private lastInputAt = Number.NEGATIVE_INFINITY;
  private undoGroup = 0;

  constructor(private readonly text: TextField) {
    this.base = this.shown();
  }

  /** Follows the record until the result is called. */
  readonly start = (): (() => void) => {
    this.follow();
    return this.text.record.subscribe(this.follow);
  };

  readonly attach = (element: TextElement | null): void => {
    this.element = element;
  };

  /** The element's value was changed by its user. */
  readonly input = (element: TextElement, atMs: number): void => {
    if (this.composing) {
      this.text.onDraft(element.value);
      return;
    }
    this.commit(element.value, element.selectionStart ?? element.value.length, atMs);
  };

  readonly compositionStart = (): void => {
    this.composing = true;
    if (!this.refused) this.base = this.shown();
  };

  readonly compositionEnd = (element: TextElement, atMs: number): void => {
    if (!this.composing) return;
    this.composing = false;
    this.commit(element.value, element.selectionStart ?? element.value.length, atMs);
    if (!this.refused) this.text.onDraft(undefined);
    this.follow();
  };

  private shown(): string {
    return textOf(this.text.record.getSnapshot(), this.text.field);
  }

  private commit(after: string, caret: number, atMs: number): void {
    const step = replacementOfInput(this.base, after, caret);
    if (step === undefined) {
      this.accepted();
      return;
    }
    const current = this.shown();
    const own = current === this.base ? step : transformReplacement(step, replacements(this.base, current));
    if (atMs - this.lastInputAt > UNDO_PAUSE_MS || step.insert.includes('\n')) this.undoGroup += 1;
    this.lastInputAt = atMs;
    const { client, id, field } = this.text;
    const undoGroup = `text/${id}/${field}/${String(this.undoGroup)}`;
    this.applying = true;
    try {
      // A paste can be larger than an operation.
      for (const part of partsOf(hunkOf(current, own))) {
        client.mutate((tx) => tx.editText(id, field, [part]), { undoGroup });
      }
    } catch (error) {
      if (!(error instanceof SynclineError)) throw error;
      this.refused = true;
      this.base = this.shown();
      this.text.onDraft(after, error);
      return;
    } finally {
      this.applying = false;
    }
    this.accepted();
  }

  /** The element shows the text of the record again. */
  private accepted(): void {
    if (this.refused) this.text.onDraft(undefined);
    this.refused = false;
    this.show(this.shown());
  }

  private readonly follow = (): void => {
    if (!this.composing && !this.applying && !this.refused) this.show(this.shown());
  };

  /** Puts a text into the element; caret and selection stay with the characters they are between. */
  private show(text: string): void {
    this.base = text;
    const element = this.element;
    if (element === null || element.value === text) return;
    const steps: readonly Replacement[] = replacements(element.value, text);
    const { selectionStart, selectionEnd, selectionDirection, scrollTop } = element;
    element.value = text;
    if (selectionStart !== null && selectionEnd !== null && element.ownerDocument.activeElement === element) {
      const start = mapIndex(selectionStart, steps);
      const end = selectionEnd === selectionStart ? start : mapIndex(selectionEnd, steps);
      element.setSelectionRange(start, Math.max(start, end), selectionDirection ?? undefined);
    }
    element.scrollTop = scrollTop;
  }
}
