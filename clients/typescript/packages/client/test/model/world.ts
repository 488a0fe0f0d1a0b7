import { mkdtempSync, rmSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PendingMutation, RecordView, Syncline, Transaction } from '../../src/api.js';
import { nodePlatform } from '../../src/platform/node.js';
import { systemClock } from '../../src/platform/clock.js';
import { openMemoryStore } from '../../src/store/memory.js';
import type { Store } from '../../src/store/store.js';
import { createNodeTransport } from '../../src/transport/node.js';
import { createWebTransport } from '../../src/transport/web.js';
import { testClient, until } from '../harness/client.js';
import { keptOpen } from '../harness/kept-open.js';
import { FaultyProxy } from '../harness/proxy.js';
import { Seeded } from '../harness/random.js';
import type { TestServer } from '../harness/server.js';

const RECORDS = ['r-0', 'r-1', 'r-2', 'r-3', 'r-4'];
const FIELDS = ['title', 'votes', 'tags', 'text', 'owner', 'parts'] as const;

/** How long a person may take to be settled. */
const SETTLE_WITHIN_MS = Number(process.env['SYNCLINE_SETTLE_MS'] ?? 15_000);

/** Back-offs are this share of what they are: the order of events is what is tested. */
const BACKOFF_SHARE = 0.02;

/** One simulated person: a client over a store that outlives it, behind a network of its own. */
class Person {
  client: Syncline;
  private readonly saved: string[] = [];
  /** What each was, for failures. */
  readonly told = new Map<string, string>();
  private readonly folder: string | undefined;
  private readonly memory: Store | undefined;

  private constructor(
    private readonly random: Seeded,
    private readonly workspace: string,
    readonly name: string,
    readonly proxy: FaultyProxy,
  ) {
    const onDisk = random.chance(0.3) && openFileStore !== undefined;
    this.folder = onDisk ? mkdtempSync(join(tmpdir(), 'syncline-model-')) : undefined;
    this.memory = onDisk ? undefined : keptOpen(openMemoryStore());
    this.client = this.open();
  }

  static async arrive(random: Seeded, server: TestServer, workspace: string, name: string): Promise<Person> {
    const person = new Person(random, workspace, name, await FaultyProxy.start(server.url));
    await person.client.ready;
    return person;
  }

  /** Writes something, if it fits. */
  act(): void {
    const { random } = this;
    try {
      if (random.chance(0.06)) {
        this.note(this.client.undo()?.mutation);
        return;
      }
      const count = random.chance(0.2) ? 3 : 1;
      this.note(
        this.client.mutate(
          (tx) => {
            for (let each = 0; each < count; each++) this.change(tx);
          },
          { pessimistic: random.chance(0.05) },
        ),
      );
    } catch (error) {
      const code = (error as { code?: string }).code;
      if (code !== 'INVALID_MUTATION' && code !== 'INVALID_ARGUMENT') throw error;
    }
  }

  async trouble(): Promise<void> {
    const { random, proxy } = this;
    switch (random.below(6)) {
      case 0:
        proxy.cut();
        break;
      case 1:
        proxy.swallowAnswers(true);
        await pause(random.below(30));
        proxy.swallowAnswers(false);
        break;
      case 2:
        this.client.connection.goOffline();
        break;
      case 3:
        this.client.connection.goOnline();
        break;
      case 4:
        proxy.refuse(true);
        await pause(random.below(20));
        proxy.refuse(false);
        break;
      case 5:
        await this.reload();
        break;
    }
  }

  async reload(): Promise<void> {
    await this.client.close();
    this.client = this.open();
    await this.client.ready;
  }

  /** Back with the others: everything of this person is settled, everything of others is here. */
  async settle(head: () => Promise<number>): Promise<void> {
    this.proxy.refuse(false);
    this.client.queue.resume();
    this.client.connection.goOnline();
    await this.reaches(`${this.name}'s queue is empty`, () => this.client.queue.getSnapshot().pending === 0);
    const target = await head();
    const position = () => this.client.connection.getSnapshot().feed.position;
    await this.reaches(`${this.name} is at ${target}`, () => position() >= target);
  }

  private async reaches(what: string, holds: () => boolean): Promise<void> {
    try {
      await until(holds, what, SETTLE_WITHIN_MS);
    } catch {
      const { connection, queue } = this.client;
      const items = queue.getSnapshot().items.map(({ status, summary, dot }) => `${dot.counter} ${status} ${summary}`);
      throw new Error(`it never came: ${what}\n${JSON.stringify([connection.getSnapshot(), items], undefined, 1)}`);
    }
  }

  picture(): Readonly<Record<string, unknown>> {
    return Object.fromEntries(RECORDS.map((id) => [id, pictureOf(this.client.record(id).getSnapshot())]));
  }

  /** By correlation id: an operation that is rebased keeps it. */
  savedOperations(): readonly string[] {
    return this.saved;
  }

  /** The rejected operations of all slots of this device; ends the client. */
  async refused(): Promise<ReadonlySet<string>> {
    await this.client.close();
    const store = await this.openStore();
    const refused = new Set<string>();
    for (const { slotId } of await store.slots()) {
      for (const { operation } of (await store.loadSlot(slotId)).rejected) refused.add(operation.correlationId);
    }
    await store.close();
    return refused;
  }

  async leave(): Promise<void> {
    await this.client.close();
    await this.proxy.stop();
    if (this.folder !== undefined) rmSync(this.folder, { recursive: true, force: true });
  }

  private note(mutation: PendingMutation | undefined): void {
    if (mutation === undefined) return;
    const written = this.client.queue.getSnapshot;
    void Promise.resolve()
      .then(() => undefined)
      .then(() => {
        const item = written().items.find(({ correlationId }) => correlationId === mutation.correlationId);
        this.told.set(mutation.correlationId, item?.summary ?? 'unknown');
      });
    mutation.saved.then(
      () => this.saved.push(mutation.correlationId),
      () => undefined,
    );
  }

  private open(): Syncline {
    const platform = {
      ...nodePlatform(),
      random: { unit: () => this.random.unit() * BACKOFF_SHARE, uuid: () => randomUUID() },
    };
    const { random } = this;
    const web = random.chance(0.3);
    return testClient(
      { url: this.proxy.url, workspace: this.workspace, actor: this.name, startOffline: random.chance(0.2) },
      {
        platform,
        openStore: () => this.openStore(),
        createTransport: (options) =>
          (web ? createWebTransport : createNodeTransport)({
            url: options.url,
            workspace: options.workspace,
            clientName: 'model',
            actor: options.actor,
            clock: systemClock,
          }),
      },
    );
  }

  private openStore(): Promise<Store> {
    if (this.memory !== undefined) return Promise.resolve(this.memory);
    if (openFileStore === undefined || this.folder === undefined) return Promise.reject(new Error('no store'));
    return openFileStore(this.folder);
  }

  private change(tx: Transaction): void {
    const { random } = this;
    const id = random.pick(RECORDS);
    const record = tx.get(id);
    if (record === undefined) {
      tx.create('cards', id, { title: `of ${this.name}`, votes: random.below(5) });
      return;
    }
    if (record.deleted) {
      tx.restore(id);
      return;
    }
    if (random.chance(0.08)) {
      tx.delete(id);
      return;
    }
    switch (random.pick(FIELDS)) {
      case 'title':
        tx.set(id, 'title', `${this.name} ${random.below(100)}`);
        break;
      case 'votes':
        tx.increment(id, 'likes', 1 + random.below(3));
        break;
      case 'tags':
        if (random.chance(0.6)) tx.add(id, 'tags', random.pick(['a', 'b', 'c']));
        else tx.remove(id, 'tags', random.pick(['a', 'b', 'c']));
        break;
      case 'text': {
        const text = typeof record.fields['text'] === 'string' ? record.fields['text'] : '';
        const at = random.below(text.length + 1);
        const cut = random.chance(0.3) ? random.below(4) : 0;
        tx.replaceText(
          id,
          'text',
          `${text.slice(0, at)}${random.pick(['ab', 'x', 'né', '🙂'])}${text.slice(at + cut)}`,
        );
        break;
      }
      case 'owner':
        tx.set(id, 'done', random.chance(0.5));
        break;
      case 'parts': {
        const target = random.pick(RECORDS);
        if (random.chance(0.7)) tx.link(id, 'parts', target);
        else tx.unlink(id, 'parts', target);
        break;
      }
    }
  }
}

/** A record without what is each client's own (its marks). */
function pictureOf(view: RecordView | undefined): unknown {
  if (view === undefined) return 'unknown';
  if (view.deleted) return 'deleted';
  return { fields: view.fields, conflicts: [...view.conflictIds].sort() };
}

type OpenFileStore = (folder: string) => Promise<Store>;
let openFileStore: OpenFileStore | undefined;

/** Uses stores in folders, too. */
export function withFileStores(open: OpenFileStore): void {
  openFileStore = open;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** What one run came to. */
export interface Outcome {
  readonly operations: number;
  readonly head: number;
}

/** One run: people write, the network fails, pages reload; in the end everybody has what the server has. */
export async function run(seed: number, server: TestServer): Promise<Outcome> {
  const random = new Seeded(seed);
  const workspace = `model-${seed}-${randomUUID().slice(0, 8)}`;
  await server.createWorkspace(workspace);
  const names = ['ann', 'ben', 'cem'].slice(0, 2 + random.below(2));
  const people = await Promise.all(
    names.map((name) => Person.arrive(new Seeded(random.below(2 ** 31)), server, workspace, name)),
  );
  const witness = createNodeTransport({
    url: server.url,
    workspace,
    clientName: 'witness',
    actor: 'witness',
    clock: systemClock,
  });
  const { signal } = new AbortController();
  try {
    const steps = 15 + random.below(25);
    for (let step = 0; step < steps; step++) {
      const person = random.pick(people);
      if (random.chance(0.22)) await person.trouble();
      else person.act();
      if (random.chance(0.4)) await pause(random.below(8));
    }
    const head = async () => (await witness.head(signal)).seqInclusive;
    await Promise.all(people.map((person) => person.settle(head)));
    // Undoing and settling of one may have moved the head for the others.
    await Promise.all(people.map((person) => person.settle(head)));

    const fresh = await Person.arrive(new Seeded(1), server, workspace, 'dee');
    people.push(fresh);
    await fresh.settle(head);
    const truth = fresh.picture();
    for (const person of people) expectSame(person.picture(), truth, `what ${person.name} shows`);
    await expectServerSays(witness, signal, truth);
    let operations = 0;
    const settled = await correlationIds(witness, await head());
    for (const person of people) {
      const lost = lostOperations(person, await person.refused(), settled);
      if (lost.length > 0) throw new Error(lost.join('\n'));
      operations += person.savedOperations().length;
    }
    return { operations, head: await head() };
  } finally {
    for (const person of people) await person.leave();
    witness.close();
  }
}

async function expectServerSays(
  witness: ReturnType<typeof createNodeTransport>,
  signal: AbortSignal,
  truth: Readonly<Record<string, unknown>>,
): Promise<void> {
  const feed = await witness.openFeed('snapshot', signal);
  for await (const frame of feed.frames) {
    if (frame.type === 'loading_finished') break;
    for (const record of frame.type === 'records_entered' ? frame.records : []) {
      const title = record.fields.get('title')?.state;
      const text = record.fields.get('text')?.state;
      const shown = truth[record.recordId];
      if (record.deleted) {
        expectSame(shown, 'deleted', `${record.recordId} is deleted`);
        continue;
      }
      const { fields } = shown as { fields: Record<string, unknown> };
      if (title?.kind === 'register' && title.value.kind === 'string') {
        expectSame(fields['title'], title.value.value, `the title of ${record.recordId}`);
      }
      if (text?.kind === 'text') expectSame(fields['text'], text.text, `the text of ${record.recordId}`);
    }
  }
  feed.close();
}

/** What the whole history settled. */
async function correlationIds(
  witness: ReturnType<typeof createNodeTransport>,
  head: number,
): Promise<ReadonlyMap<string, number>> {
  const times = new Map<string, number>();
  const { signal } = new AbortController();
  const { workspaceId, epoch } = await witness.head(signal);
  const feed = await witness.openFeed({ workspaceId, epoch, seqInclusive: 0, chain: new Uint8Array(16) }, signal);
  for await (const frame of feed.frames) {
    if (frame.type === 'changes') {
      for (const { correlationId } of frame.changes) times.set(correlationId, (times.get(correlationId) ?? 0) + 1);
    }
    if (frame.cursor.seqInclusive >= head) break;
  }
  feed.close();
  return times;
}

/** O9, and "nothing that was said to be saved is lost": it took effect once, or it is among the rejected operations. */
function lostOperations(
  person: Person,
  refused: ReadonlySet<string>,
  settled: ReadonlyMap<string, number>,
): readonly string[] {
  return person.savedOperations().flatMap((correlationId) => {
    const times = settled.get(correlationId) ?? 0;
    const told = person.told.get(correlationId) ?? '';
    // Made before anything was known of the server, and rebased: what is so already is not done again.
    if (times === 0 && /^(restore|delete) /.test(told)) return [];
    if (times === (refused.has(correlationId) ? 0 : 1)) return [];
    return [`${person.name}'s operation ${correlationId} (${told}) was saved and took effect ${times} times`];
  });
}

function expectSame(actual: unknown, expected: unknown, what: string): void {
  const write = (value: unknown) =>
    JSON.stringify(value, (_, each: unknown) => {
      if (typeof each === 'bigint') return `${each}n`;
      if (typeof each !== 'object' || each === null || Array.isArray(each)) return each;
      return Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1)));
    });
  if (write(actual) !== write(expected)) {
    throw new Error(`${what}\n  is      ${write(actual)}\n  must be ${write(expected)}`);
  }
}
