/** IndexedDB with promises, as far as one store needs it: less than a tenth of a library for it. */

/** A request's result. */
export function resultOf<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => {
      resolve(request.result);
    };
    request.onerror = () => {
      reject(request.error ?? new Error('a request of the database failed'));
    };
  });
}

/** Resolves when a transaction is complete; rejects with what ended it otherwise. */
export function endOf(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = () => {
      reject(transaction.error ?? new DOMException('the transaction was aborted', 'AbortError'));
    };
    transaction.oncomplete = () => {
      resolve();
    };
    transaction.onabort = failed;
    transaction.onerror = failed;
  });
}

/** Opens a database; `upgrade` makes its object stores. */
export function openDatabase(name: string, version: number, upgrade: (db: IDBDatabase) => void): Promise<IDBDatabase> {
  const request = indexedDB.open(name, version);
  request.onupgradeneeded = () => {
    upgrade(request.result);
  };
  return resultOf(request);
}
