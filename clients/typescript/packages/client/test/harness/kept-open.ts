import type { Store } from '../../src/store/store.js';

/** A store that stays usable after a client closed it, as a database does for the next page. */
export function keptOpen(store: Store): Store {
  return new Proxy(store, {
    get: (target, name) => {
      if (name === 'close') return () => Promise.resolve();
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}
