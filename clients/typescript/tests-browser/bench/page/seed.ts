import { RECORDS, contents } from '../../../packages/client/bench/fixture.js';
import { openIndexedDbStore } from '../../../packages/client/src/store/indexeddb.js';

/** Records in one write. */
const AT_ONCE = 1000;

/** Puts the records on this device, as a snapshot from a server would. */
export async function seed(name: string): Promise<void> {
  const store = await openIndexedDbStore(name);
  const { meta, records } = contents();
  if (meta === undefined) throw new Error('there is no position');
  const term = await store.nextTerm();
  await store.beginSnapshot(term);
  for (let from = 0; from < RECORDS; from += AT_ONCE) {
    await store.addToSnapshot(term, records.slice(from, from + AT_ONCE), []);
  }
  await store.finishSnapshot(term, meta);
  await store.close();
}
