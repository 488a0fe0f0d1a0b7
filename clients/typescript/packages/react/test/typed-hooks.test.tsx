import { defineSchema, register, text, toOne, type Id, type Syncline } from '@syncline/client';
import { describe, expect, expectTypeOf, it } from 'vitest';
import {
  createSynclineHooks,
  useLiveQuery,
  useOptimisticUpdates,
  useRecord,
  useSyncline,
  useTextField,
  type SynclineProviderProps,
} from '../src/index.js';

const schema = defineSchema({
  collections: {
    people: { name: register<string>() },
    cards: { title: register<string>(), body: text(), assignee: toOne('people') },
  },
});
type Schema = typeof schema;
const typed = createSynclineHooks<Schema>();
const unrun = (check: () => void): void => void check;
declare const card: Id<'cards'>;

describe('hooks with the types of a schema', () => {
  it('are the hooks without', () => {
    expect(Object.keys(schema.collections)).toEqual(['people', 'cards']);
    expect(typed).toEqual({ useSyncline, useLiveQuery, useRecord, useOptimisticUpdates, useTextField });
  });

  it('know its collections and fields', () => {
    unrun(() => {
      const { rows } = typed.useLiveQuery({ collection: 'cards', include: { who: { via: 'assignee' } } });
      expectTypeOf(rows[0]?.fields.title).toEqualTypeOf<string | null | undefined>();
      expectTypeOf(rows[0]?.include.who[0]?.fields.name).toEqualTypeOf<string | null | undefined>();
      // @ts-expect-error there is no such collection
      typed.useLiveQuery({ collection: 'card' });
      expectTypeOf(typed.useRecord(card)?.fields.body).toEqualTypeOf<string | undefined>();
      typed.useTextField(card, 'body');
      // @ts-expect-error a title is no text
      typed.useTextField(card, 'title');
      const { mutate } = typed.useOptimisticUpdates();
      mutate((tx) => {
        tx.set(card, 'title', 'x');
        // @ts-expect-error there is no such field
        tx.set(card, 'titel', 'x');
      });
      expectTypeOf(typed.useSyncline()).toEqualTypeOf<Syncline<Schema>>();
      expectTypeOf<Syncline<Schema>>().toExtend<SynclineProviderProps['client']>();
      expectTypeOf<Syncline>().toExtend<SynclineProviderProps['client']>();
    });
  });
});
