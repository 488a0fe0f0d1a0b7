import type { Observable, RecordView } from '../api.js';
import type { RecordId } from '../domain/ids.js';
import type { Replica, ViewChange } from '../replica/replica.js';

/** Single records, live. Nothing is kept of a record that nobody watches. */
export class RecordWatch {
  private readonly listeners = new Map<RecordId, Set<() => void>>();

  constructor(private readonly replica: Replica) {}

  record(id: RecordId): Observable<RecordView | undefined> {
    return {
      getSnapshot: () => this.replica.view(id),
      subscribe: (listener) => {
        const entry = () => {
          listener();
        };
        const listeners = this.listeners.get(id) ?? new Set();
        listeners.add(entry);
        this.listeners.set(id, listeners);
        return () => {
          listeners.delete(entry);
          if (listeners.size === 0 && this.listeners.get(id) === listeners) this.listeners.delete(id);
        };
      },
    };
  }

  changed(change: ViewChange): void {
    if (this.listeners.size === 0) return;
    const ids = change.all ? [...this.listeners.keys()] : [...change.recordIds];
    for (const id of ids) for (const listener of [...(this.listeners.get(id) ?? [])]) listener();
  }
}
