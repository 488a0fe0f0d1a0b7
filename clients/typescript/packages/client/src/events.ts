/** A set of events: for each its name and the function that it calls. Declared as an interface, with a comment on each. */
export type EventMap<E> = { readonly [N in keyof E]: (...args: never[]) => void };

/**
 * Tells whoever listens what happened. The only way in this package by which one part calls back into parts that it does
 * not know; what has an answer is an argument instead.
 */
export class Emitter<E extends EventMap<E>> {
  private readonly entries = new Map<keyof E, Set<{ readonly call: E[keyof E] }>>();

  /** Calls the function for every event of the name until the result is called. */
  on<N extends keyof E>(name: N, call: E[N]): () => void {
    // One entry for each call of this, even with the same function.
    const entry = { call };
    const entries = this.entries.get(name) ?? new Set();
    this.entries.set(name, entries.add(entry));
    return () => {
      entries.delete(entry);
    };
  }

  /** Listens to all events. A missing one is an error of the type checker. */
  onAll(calls: E): void {
    for (const name of Object.keys(calls) as (keyof E)[]) this.on(name, calls[name]);
  }

  /** Calls those who listened when this was called, in the order in which they came. */
  emit<N extends keyof E>(name: N, ...args: Parameters<E[N]>): void {
    for (const { call } of [...(this.entries.get(name) ?? [])]) (call as (...args: Parameters<E[N]>) => void)(...args);
  }

  /** Whether anybody listens. */
  has(name: keyof E): boolean {
    return (this.entries.get(name)?.size ?? 0) > 0;
  }
}
