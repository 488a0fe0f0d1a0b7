/** A sequence that is filled from outside and read once. What was pushed before the end is read before the end. */
export class Pushed<T> implements AsyncIterable<T> {
  private readonly items: T[] = [];
  private over: { readonly error?: unknown } | undefined;
  private wake: (() => void) | undefined;

  push(item: T): void {
    if (this.over !== undefined) return;
    this.items.push(item);
    this.wake?.();
  }

  /** Nothing comes after what was pushed. */
  end(): void {
    this.over ??= {};
    this.wake?.();
  }

  /** The reader gets this error after what was pushed. */
  fail(error: unknown): void {
    this.over ??= { error };
    this.wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void> {
    for (;;) {
      while (this.items.length > 0) yield this.items.shift() as T;
      if (this.over !== undefined) {
        if ('error' in this.over) throw this.over.error;
        return;
      }
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
      this.wake = undefined;
    }
  }
}
