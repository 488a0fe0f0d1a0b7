import { counter, defineSchema, register, set, text, toMany, toOne, type RecordOf, type Row } from '@syncline/client';
import { createSynclineHooks } from '@syncline/react';

/** What is on the board: the schema of the workspace that `syncline dev` makes. */
export const schema = defineSchema({
  collections: {
    columns: { name: register<string>(), position: register<number>() },
    people: { name: register<string>() },
    cards: {
      title: register<string>(),
      body: text(),
      votes: counter(),
      tags: set<string>(),
      column: toOne('columns'),
      assignees: toMany('people'),
      blocked_by: toMany('cards'),
    },
  },
});

export type Schema = typeof schema;
export type CardRecord = RecordOf<Schema, 'cards'>;
export type ColumnRow = Row<Record<never, never>, Schema, 'columns'>;
/** What is joined to a card on the board. */
export const CARD_INCLUDES = { assignees: { via: 'assignees' }, blockers: { via: 'blocked_by' } } as const;
export type CardRow = Row<typeof CARD_INCLUDES, Schema, 'cards'>;

export const { useLiveQuery, useOptimisticUpdates, useRecord, useTextField } = createSynclineHooks<Schema>();
