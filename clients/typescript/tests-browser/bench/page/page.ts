import { type Transaction, createSyncline } from '@syncline/client/browser';

/** One page of an application: two live queries, of which one is shown. What is measured is left in `globalThis.bench`. */

const WORKSPACE = 'w';
const RECORDS = 10_000;
/** Between two edits: somebody who types fast; never at the same place of a frame. */
const EVERY_MS = 50;

export interface Load {
  /** The page's code runs. */
  readonly script: number;
  /** The first live query has its rows. */
  readonly shown: number;
  /** A frame with them was painted. */
  readonly painted: number;
  readonly rows: number;
  readonly pending: number;
}

export interface Edit {
  /** From the edit to its row in the document, by a subscriber of the live query. */
  readonly visible: number;
  /** From the edit to the end of the frame that shows it. */
  readonly painted: number;
}

const script = performance.now();
const idOf = (index: number): string => `card-${String(index).padStart(6, '0')}`;
const client = createSyncline({ url: location.origin, workspace: WORKSPACE, actor: 'bench', startOffline: true });
// What an application has open: a list of everything in an order, and a column with what its rows link to.
const all = client.query({ collection: 'cards', orderBy: [{ field: 'votes', direction: 'desc' }, { field: 'title' }] });
const column = client.query({
  collection: 'cards',
  where: { column: 2 },
  limit: 50,
  include: { owner: { via: 'owner' } },
});

const [first, list] = [document.createElement('p'), document.createElement('ul')];
document.body.append(first, list);

function showAll(): void {
  first.textContent = String(client.record(idOf(0)).getSnapshot()?.fields['body']);
}

function showColumn(): void {
  const items = column.getSnapshot().rows.map(({ record }) => {
    const item = document.createElement('li');
    item.textContent = `${String(record.fields['title'])}: ${String(record.fields['votes'])}`;
    return item;
  });
  list.replaceChildren(...items);
}

/** The end of the next frame: what a message finds that was sent while it was made. */
function frame(): Promise<number> {
  return new Promise((painted) => {
    requestAnimationFrame(() => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => {
        painted(performance.now());
      };
      port2.postMessage(undefined);
    });
  });
}

async function load(): Promise<Load> {
  const shown = new Promise<number>((found) => {
    const complete = (): void => {
      if (first.textContent === '' || list.childElementCount === 0) return;
      found(performance.now());
    };
    all.subscribe(() => {
      showAll();
      complete();
    });
    column.subscribe(() => {
      showColumn();
      complete();
    });
  });
  await client.ready;
  const rows = all.getSnapshot().rows.length;
  const at = rows === 0 ? Number.NaN : await shown;
  const painted = await frame();
  return { script, shown: at, painted, rows, pending: client.queue.getSnapshot().pending };
}

/** What is waiting: a thousand operations, a third of them in one text. */
async function queueUp(count: number): Promise<void> {
  let saved: Promise<unknown> = Promise.resolve();
  for (let index = 0; index < count; index++) {
    const id = idOf((index * 37) % RECORDS);
    saved = client.mutate((tx) => {
      if (index % 3 === 0) tx.editText(idOf(0), 'body', [{ position: index % 50, deleteCount: 1, insert: 'xy' }]);
      else if (index % 3 === 1) tx.set(id, 'title', `changed ${String(index)}`);
      else tx.increment(id, 'votes');
    }).saved;
  }
  await saved;
}

const EDITS = {
  'set a title': (tx: Transaction, id: string, index: number) => {
    tx.set(id, 'title', `edit ${String(index)}`);
  },
  'move a card in the order': (tx: Transaction, id: string) => {
    tx.increment(id, 'votes', 5);
  },
  'type into a text with pending edits': (tx: Transaction, _id: string, index: number) => {
    tx.editText(idOf(0), 'body', [{ position: index, deleteCount: 0, insert: 'k' }]);
  },
} as const;

async function edit(sort: keyof typeof EDITS, count: number): Promise<Edit[]> {
  const edits: Edit[] = [];
  const shown = column.getSnapshot().rows.map(({ record }) => record.id);
  let seen = Number.NaN;
  // Subscribed after the page's own listeners: the document shows it by now.
  const ends = [all, column].map((query) =>
    query.subscribe(() => {
      seen = performance.now();
    }),
  );
  for (let index = 0; index < count; index++) {
    const id = shown[index % shown.length] ?? idOf(0);
    seen = Number.NaN;
    const from = performance.now();
    client.mutate((tx) => {
      EDITS[sort](tx, id, index);
    });
    const visible = seen - from;
    edits.push({ visible, painted: (await frame()) - from });
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS + (index % 17)));
  }
  for (const end of ends) end();
  return edits;
}

async function seedRecords(): Promise<void> {
  await client.close();
  const { seed } = await import('./seed.js');
  await seed(`syncline/${location.origin}/${WORKSPACE}/default`);
}

const bench = { load: load(), queueUp, edit, seed: seedRecords, kinds: Object.keys(EDITS) as (keyof typeof EDITS)[] };
export type Bench = typeof bench;
Object.assign(globalThis, { bench });
