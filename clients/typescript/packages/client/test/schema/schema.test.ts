import { fromJson, type JsonValue } from '@bufbuild/protobuf';
import { afterEach, describe, expect, it } from 'vitest';
import type { Notice, Syncline } from '../../src/api.js';
import type { FieldSchema } from '../../src/domain/schema.js';
import type { Action } from '../../src/domain/operation.js';
import { collectMutations } from '../../src/replica/transaction.js';
import { createReplica } from '../../src/replica/core.js';
import { createLiveQueries } from '../../src/query/live-queries.js';
import { SchemaSchema } from '../../src/gen/syncline/v1/workspace_pb.js';
import type { Timestamp } from '../../src/index.js';
import { counter, defineSchema, register, schemaJson, set, text, toMany, toOne } from '../../src/index.js';
import { schemaDifferences, schemaOf } from '../../src/schema.js';
import { SynclineError } from '../../src/errors.js';
import { nextChain } from '../../src/wire/chain.js';
import { encodeOperation } from '../../src/wire/operation.js';
import { schemaFromWire } from '../../src/wire/schema.js';
import { testClient, until } from '../harness/client.js';
import { FakeServer } from '../harness/fake-server.js';

const schema = defineSchema({
  collections: {
    people: { name: register<string>() },
    cards: {
      title: register<string>(),
      body: text(),
      quantity: counter({ provisional: 'max', onClash: 'settle', onDominate: 'supersede' }),
      tags: set<string>(),
      assignee: toOne('people'),
      blockers: toMany('cards'),
    },
  },
});

const EMPTY = { title: null, body: '', quantity: 0, tags: [], assignee: null, blockers: [] };

let client: Syncline<typeof schema> | undefined;
afterEach(async () => {
  await client?.close();
  client = undefined;
});

async function open(server: FakeServer, options: { startOffline?: boolean; strict?: boolean } = {}): Promise<Notice[]> {
  const { startOffline = true, strict = false } = options;
  client = testClient(
    { url: 'http://fake', workspace: 'fake', actor: 'ann', startOffline, schema: { ...schema, strict } },
    {
      createTransport: () => server.transport(),
      createReplica: (workspace, program) => createReplica(workspace, encodeOperation, nextChain, program),
      createLiveQueries,
    },
  ) as unknown as Syncline<typeof schema>;
  const notices: Notice[] = [];
  client.onNotice((notice) => notices.push(notice));
  await client.ready;
  return notices;
}

function fieldsOf(action: Action): readonly string[] {
  if (action.type === 'create') return [...action.fields.keys()];
  return 'fieldId' in action ? [action.fieldId] : [];
}

const opened = (): Syncline<typeof schema> => {
  if (client === undefined) throw new Error('no client is open');
  return client;
};

describe('a schema in the program', () => {
  it('says what fields are before the first contact', async () => {
    await open(new FakeServer());
    opened().mutate((tx) => {
      tx.create('people', 'ann', { name: 'Ann' });
      tx.create('cards', 'a', { title: 'A', body: 'Words', quantity: 1, tags: [], assignee: 'ann', blockers: [] });
    });
    opened().mutate((tx) => {
      tx.increment('a', 'quantity', 2);
      tx.add('a', 'tags', 'garden');
    });
    const shown = { title: 'A', body: 'Words', quantity: 3, tags: ['garden'], assignee: 'ann', blockers: [] };
    expect(opened().record('a').getSnapshot()?.fields).toEqual(shown);
  });

  it('says to a server that has no schema what kinds the fields have', async () => {
    const replica = createReplica('w', encodeOperation, nextChain, schema);
    const slot = { slotId: 's', replicaId: 'r', nextCounter: 1, lastBaseSeq: 0, lastSettledCounter: 0 };
    replica.load({ records: [], conflicts: [], textTail: [] }, { slot, pending: [], rejected: [] });
    const build: Parameters<Syncline<typeof schema>['mutate']>[0] = (tx) => {
      tx.create('cards', 'a', { title: 'A', body: '', quantity: 1, tags: ['x'], blockers: [] });
    };
    const types = () => collectMutations(replica, build as never).map(({ action }) => [action.type, fieldsOf(action)]);
    // The server makes registers of whatever a record is created with and nobody declared.
    const explicit = [
      ['create', ['title']],
      ['assign_counter', ['quantity']],
      ['add_elements', ['tags']],
    ];
    expect(types()).toEqual(explicit);
    replica.setSchema({ ...schemaOf(schema), version: 1 });
    expect(types()).toEqual([
      ['create', ['title', 'body', 'quantity']],
      ['add_elements', ['tags']],
    ]);
  });

  it('gives every record all of its fields, empty ones too, as the same object until something changes', async () => {
    await open(new FakeServer());
    const rows = opened().query({ collection: 'cards', where: { assignee: null, quantity: 0 } });
    opened().mutate((tx) => tx.create('cards', 'a'));
    const [row] = rows.getSnapshot().rows;
    expect(row?.fields).toEqual(EMPTY);
    expect([row?.id, row?.fields]).toEqual(['a', row?.record.fields]);
    opened().mutate((tx) => tx.create('cards', 'b'));
    expect(rows.getSnapshot().rows[0]).toBe(row);
    opened().mutate((tx) => tx.set('a', 'title', 'A'));
    expect(rows.getSnapshot().rows[0]?.fields).toEqual({ ...EMPTY, title: 'A' });
    expect(rows.getSnapshot().rows[0]?.fields.tags).toBe(row?.fields.tags);
  });

  it('refuses values that do not fit, with or without the type checker', async () => {
    await open(new FakeServer());
    const untyped = opened() as unknown as Syncline;
    untyped.mutate((tx) => {
      tx.create('cards', 'a');
    });
    expect(() =>
      untyped.mutate((tx) => {
        tx.set('a', 'body', 'x');
      }),
    ).toThrow('cards.body is a text');
    expect(() =>
      untyped.mutate((tx) => {
        tx.create('cards', 'b', { tags: 'x' });
      }),
    ).toThrow('it takes an array');
    expect(() =>
      untyped.mutate((tx) => {
        tx.create('cards', 'b', { quantity: 1.5 });
      }),
    ).toThrow('1.5 is not a whole number');
    // What the schema does not have is free unless it is strict.
    untyped.mutate((tx) => {
      tx.create('others', 'o', { any: 'thing' });
    });
    expect(untyped.record('o').getSnapshot()?.fields).toEqual({ any: 'thing' });
  });

  it('refuses collections and fields that it does not have when it is strict', async () => {
    await open(new FakeServer(), { strict: true });
    const untyped = opened() as unknown as Syncline;
    expect(() =>
      untyped.mutate((tx) => {
        tx.create('others', 'o');
      }),
    ).toThrow('there is no collection others in the schema of the program');
    expect(() =>
      untyped.mutate((tx) => {
        tx.create('cards', 'a', { titel: 'x' });
      }),
    ).toThrow('there is no field cards.titel in the schema of the program');
  });

  it('tells when the server has another one, and follows the server', async () => {
    const server = new FakeServer();
    const other = defineSchema({
      strict: true,
      collections: { cards: { title: text(), body: text(), quantity: counter(), tags: set(), blockers: toMany() } },
    });
    server.schemaNow = { ...schemaOf(other), version: 4 };
    const notices = await open(server, { startOffline: false });
    await until(() => notices.length > 0, 'the notice');
    expect(notices).toEqual([
      {
        type: 'schema_differs',
        differences: [
          'the server has no collection people',
          'cards.title is a text on the server and a register in the program',
          'the server has no field cards.assignee',
        ],
      },
    ]);
    const untyped = opened() as unknown as Syncline;
    untyped.mutate((tx) => {
      tx.create('cards', 'a', { title: 'A' });
      tx.replaceText('a', 'title', 'AB');
    });
    expect(untyped.record('a').getSnapshot()?.fields['title']).toBe('AB');
    expect(() =>
      untyped.mutate((tx) => {
        tx.create('people', 'p');
      }),
    ).toThrow("there is no collection people in the server's schema");
  });

  it('is written as the server reads it, policies included', () => {
    const message = fromJson(SchemaSchema, schemaJson(schema) as unknown as JsonValue);
    const read = schemaFromWire({ schema: message, schemaVersion: 0n } as never);
    expect(read).toEqual(schemaOf(schema));
    expect(schemaDifferences(schema, read)).toEqual([]);
    expect(schemaJson(schema).collections['cards']?.fields['quantity']).toEqual({
      kind: 'FIELD_KIND_COUNTER',
      provisional: 'PROVISIONAL_RULE_MAX',
      onClash: 'CLASH_RULE_SETTLE',
      onDominate: 'DOMINATE_RULE_SUPERSEDE',
    });
  });

  it('says what the program says and nothing else: the rest stays as the server has it', () => {
    const silent = defineSchema({ collections: { cards: { title: register<string>() } } });
    expect(schemaJson(silent)).toEqual({
      collections: { cards: { fields: { title: { kind: 'FIELD_KIND_REGISTER' } } } },
    });
    expect(schemaOf(silent).strict).toBe(false);
    const explicit = defineSchema({
      strict: false,
      collections: { cards: { title: register<Timestamp>({ provisional: 'incumbent', onClash: 'open' }) } },
    });
    expect(schemaJson(explicit)).toEqual({
      strict: false,
      collections: {
        cards: {
          fields: {
            title: {
              kind: 'FIELD_KIND_REGISTER',
              provisional: 'PROVISIONAL_RULE_INCUMBENT',
              onClash: 'CLASH_RULE_OPEN',
            },
          },
        },
      },
    });
    const opaque = { ...schemaOf(silent).collections.get('cards')?.get('title'), kind: 'opaque' } as FieldSchema;
    const server = { ...schemaOf(silent), collections: new Map([['cards', new Map([['title', opaque]])]]) };
    expect(schemaDifferences(silent, server)).toEqual([
      'cards.title is of a newer kind on the server and a register in the program',
    ]);
  });

  it('is refused with ids that no collection or field can have, and with links to nowhere', () => {
    expect(() => defineSchema({ collections: { 'a b': {} } })).toThrow(SynclineError);
    expect(() => defineSchema({ collections: { a: { 'b.c': text() } } })).toThrow('"b.c" cannot be the id of a field');
    const nowhere = { a: { b: toOne('c') } } as Record<string, Record<string, ReturnType<typeof toOne>>>;
    expect(() => defineSchema({ collections: nowhere })).toThrow('a.b links to c, which is not defined');
  });
});
