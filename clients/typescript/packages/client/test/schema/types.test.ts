import { describe, expectTypeOf, it } from 'vitest';
import {
  counter,
  defineSchema,
  newId,
  register,
  set,
  text,
  toMany,
  toOne,
  Timestamp,
  type FieldsOf,
  type Id,
  type RecordOf,
  type Syncline,
  type Transaction,
  type Value,
} from '../../src/index.js';
import type { CreateSyncline } from '../../src/client.js';

const schema = defineSchema({
  collections: {
    people: { name: register<string>(), knows: toMany('people') },
    cards: {
      title: register<string>(),
      stage: register<'todo' | 'done'>(),
      size: register<number>(),
      anything: register(),
      body: text(),
      votes: counter({ onClash: 'settle', provisional: 'max' }),
      tags: set<string>(),
      assignee: toOne('people'),
      blockers: toMany('cards'),
      related: toOne(),
    },
  },
});
type Schema = typeof schema;

// What is below is looked at by the type checker alone: nothing of it runs.
declare const createSyncline: CreateSyncline;
declare const tx: Transaction<Schema>;
declare const client: Syncline<Schema>;
declare const card: Id<'cards'>;
declare const person: Id<'people'>;
declare const anyId: string;
const options = { url: 'http://127.0.0.1:7447', workspace: 'demo', actor: 'Ada' };
const unrun = (check: () => void): void => void check;

describe('a schema in the program', () => {
  it('refuses links to collections that it does not have', () => {
    unrun(() => {
      // @ts-expect-error there is no collection persons
      defineSchema({ collections: { cards: { assignee: toOne('persons') } } });
      // @ts-expect-error there is no kind of field called date
      defineSchema({ collections: { cards: { due: { kind: 'date' } } } });
      // @ts-expect-error there is no such policy
      register<string>({ onClash: 'ignore' });
      // @ts-expect-error sets have scalar elements
      set<{ readonly a: 1 }>();
    });
  });

  it('types the client that is made with it', () => {
    unrun(() => {
      expectTypeOf(createSyncline({ ...options, schema })).toEqualTypeOf<Syncline<Schema>>();
      expectTypeOf(createSyncline(options)).toEqualTypeOf<Syncline>();
      // @ts-expect-error a typed client needs the schema at run time, too
      createSyncline<Schema>(options);
    });
  });

  it('types the fields of records', () => {
    expectTypeOf<FieldsOf<Schema, 'cards'>>().toEqualTypeOf<{
      readonly title: string | null;
      readonly stage: 'todo' | 'done' | null;
      readonly size: number | null;
      readonly anything: Value;
      readonly body: string;
      readonly votes: number | bigint;
      readonly tags: readonly string[];
      readonly assignee: Id<'people'> | null;
      readonly blockers: readonly Id<'cards'>[];
      readonly related: string | null;
    }>();
    unrun(() => {
      const any = client.record(anyId).getSnapshot();
      expectTypeOf(any).toEqualTypeOf<RecordOf<Schema> | undefined>();
      if (any?.collection === 'people') expectTypeOf(any.fields.name).toEqualTypeOf<string | null>();
      // @ts-expect-error of which collection it is, is not known yet
      void any?.fields.title;
      expectTypeOf(client.record(card).getSnapshot()?.fields.title).toEqualTypeOf<string | null | undefined>();
      expectTypeOf(tx.get(person)?.fields.name).toEqualTypeOf<string | null | undefined>();
      // @ts-expect-error people have no title
      void client.record(person).getSnapshot()?.fields.title;
    });
  });

  it('types queries, their conditions and orders', () => {
    unrun(() => {
      const { rows } = client
        .query({
          collection: 'cards',
          where: {
            all: [
              { field: 'title', op: 'ne', value: null },
              { field: 'tags', op: 'contains', value: 'garden' },
              { field: 'votes', op: 'gt', value: 2 },
              { field: 'stage', op: 'in', values: ['todo', 'done'] },
            ],
          },
          orderBy: [{ field: 'title' }],
        })
        .getSnapshot();
      expectTypeOf(rows[0]?.fields.title).toEqualTypeOf<string | null | undefined>();
      expectTypeOf(rows[0]?.record.fields.votes).toEqualTypeOf<number | bigint | undefined>();
      expectTypeOf(rows[0]?.id).toEqualTypeOf<Id<'cards'> | undefined>();
      // @ts-expect-error there is no such field
      void rows[0]?.fields.titel;

      client.query({ collection: 'cards', where: { stage: 'todo', assignee: person } });
      // @ts-expect-error there is no such collection
      client.query({ collection: 'card' });
      // @ts-expect-error there is no such field
      client.query({ collection: 'cards', where: { titel: 'x' } });
      // @ts-expect-error a title is a string
      client.query({ collection: 'cards', where: { title: 1 } });
      // @ts-expect-error there is no such stage
      client.query({ collection: 'cards', where: { field: 'stage', op: 'eq', value: 'doing' } });
      // @ts-expect-error tags are strings
      client.query({ collection: 'cards', where: { field: 'tags', op: 'contains', value: 1 } });
      // @ts-expect-error there is no such field to order by
      client.query({ collection: 'cards', orderBy: [{ field: 'name' }] });
    });
  });

  it('types joins along links, both ways and within each other', () => {
    unrun(() => {
      const { rows } = client
        .query({
          collection: 'cards',
          include: {
            who: { via: 'assignee', include: { friends: { via: 'knows' } } },
            waiting: { from: 'cards', via: 'blockers', where: { stage: 'todo' } },
          },
        })
        .getSnapshot();
      expectTypeOf(rows[0]?.include.who[0]?.fields.name).toEqualTypeOf<string | null | undefined>();
      expectTypeOf(rows[0]?.include.who[0]?.include.friends[0]?.fields.name).toEqualTypeOf<string | null | undefined>();
      expectTypeOf(rows[0]?.include.waiting[0]?.fields.stage).toEqualTypeOf<'todo' | 'done' | null | undefined>();
      // @ts-expect-error nothing of that name is joined
      void rows[0]?.include.nobody;
      // @ts-expect-error a title is no link
      client.query({ collection: 'cards', include: { who: { via: 'title' } } });
      // @ts-expect-error people have no title to order by
      client.query({ collection: 'cards', include: { who: { via: 'assignee', orderBy: [{ field: 'title' }] } } });
      // @ts-expect-error people have no such link
      client.query({ collection: 'people', include: { cards: { from: 'people', via: 'assignee' } } });
    });
  });

  it('types what a transaction takes', () => {
    unrun(() => {
      tx.create('cards', newId<'cards'>(), {
        title: 'x',
        body: '',
        votes: 0,
        tags: ['a'],
        assignee: person,
        blockers: [card],
        anything: { nested: [1, 'two'] },
      });
      tx.create('people', newId());
      // @ts-expect-error there is no such collection
      tx.create('card', newId(), {});
      // @ts-expect-error there is no such field
      tx.create('cards', newId(), { titel: 'x' });
      // @ts-expect-error a title is a string
      tx.create('cards', newId(), { title: 1 });
      // @ts-expect-error a set takes an array
      tx.create('cards', newId(), { tags: 'a' });
      // @ts-expect-error an id of a person is no id of a card
      tx.create('cards', person, {});

      tx.set(card, 'title', 'x');
      tx.set(anyId, 'title', null);
      tx.set(anyId, 'name', 'Ada');
      // @ts-expect-error there is no such field in any collection
      tx.set(anyId, 'titel', 'x');
      // @ts-expect-error that is a field of people
      tx.set(card, 'name', 'x');
      // @ts-expect-error a text is not set
      tx.set(card, 'body', 'x');
      // @ts-expect-error there is no such stage
      tx.set(card, 'stage', 'doing');
      tx.replaceText(card, 'body', 'x');
      // @ts-expect-error a title is no text
      tx.replaceText(card, 'title', 'x');
      tx.increment(card, 'votes');
      // @ts-expect-error a size is a register
      tx.increment(card, 'size');
      tx.assignCounter(card, 'votes', 3n);
      tx.add(card, 'tags', 'a', 'b');
      // @ts-expect-error tags are strings
      tx.add(card, 'tags', 1);
      tx.clear(card, 'tags');
      tx.clear(card, 'blockers');
      // @ts-expect-error a title is nothing to clear
      tx.clear(card, 'title');
      tx.link(card, 'assignee', person);
      tx.link(card, 'assignee', anyId);
      tx.link(card, 'related', person);
      // @ts-expect-error a card is nobody
      tx.link(card, 'assignee', card);
      tx.unlink(card, 'assignee');
      // @ts-expect-error a title is no link
      tx.unlink(card, 'title');
    });
  });
});

describe('a program without a schema', () => {
  it('has records with any fields', () => {
    unrun(() => {
      const untyped = createSyncline(options);
      const { rows } = untyped
        .query({ collection: 'cards', where: { title: 'x' }, include: { who: { via: 'a' } } })
        .getSnapshot();
      expectTypeOf(rows[0]?.record.fields['title']).toEqualTypeOf<Value | undefined>();
      expectTypeOf(rows[0]?.include.who[0]?.record.fields['name']).toEqualTypeOf<Value | undefined>();
      untyped.mutate((each) => {
        each.create('cards', 'x', { title: 'x', tags: [1, 2] });
        each.set('x', 'title', { any: 'thing' });
        each.link('x', 'assignee', 'y');
        each.add('x', 'tags', 'a', 1, null);
        each.increment('x', 'votes');
        each.set('x', 'title', new Date());
        // @ts-expect-error that is no value
        each.set('x', 'title', /x/);
      });
      const times = defineSchema({ collections: { cards: { due: register<Timestamp>(), seen: set<Timestamp>() } } });
      const timed = createSyncline({ schema: times, url: '', workspace: '', actor: '' });
      expectTypeOf(timed.record<'cards'>('c').getSnapshot()?.fields.due).toEqualTypeOf<Timestamp | null | undefined>();
      timed.mutate((each) => {
        each.set('c', 'due', new Date());
        each.set('c', 'due', new Timestamp(1));
        each.add('c', 'seen', new Date());
        // @ts-expect-error a time is no text
        each.set('c', 'due', '2026-03-01T00:00:00Z');
      });
      timed.query({ collection: 'cards', where: { field: 'due', op: 'lt', value: new Timestamp(1) } });
    });
  });
});
