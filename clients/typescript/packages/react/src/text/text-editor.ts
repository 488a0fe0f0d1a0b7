import type { Observable, RecordView, Syncline } from '@syncline/client';
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
  /** What an input method is writing, or undefined when it does not. */
  readonly onDraft: (draft: string | undefined) => void;
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
    this.base = this.shown();
  };

  readonly compositionEnd = (element: TextElement, atMs: number): void => {
    if (!this.composing) return;
    this.composing = false;
    try {
      this.commit(element.value, element.selectionStart ?? element.value.length, atMs);
    } finally {
      this.text.onDraft(undefined);
    }
    this.follow();
  };

  private shown(): string {
    return textOf(this.text.record.getSnapshot(), this.text.field);
  }

  private commit(after: string, caret: number, atMs: number): void {
    const step = replacementOfInput(this.base, after, caret);
    if (step === undefined) return;
    const current = this.shown();
    const own = current === this.base ? step : transformReplacement(step, replacements(this.base, current));
    if (atMs - this.lastInputAt > UNDO_PAUSE_MS || step.insert.includes('\n')) this.undoGroup += 1;
    this.lastInputAt = atMs;
    const { client, id, field } = this.text;
    this.applying = true;
    try {
      client.mutate((tx) => tx.editText(id, field, [hunkOf(current, own)]), {
        undoGroup: `text/${id}/${field}/${String(this.undoGroup)}`,
      });
    } finally {
      this.applying = false;
      this.show(this.shown());
    }
  }

  private readonly follow = (): void => {
    if (!this.composing && !this.applying) this.show(this.shown());
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
