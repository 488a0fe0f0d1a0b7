import { isId } from './domain/dot.js';
import type { CollectionId, FieldId } from './domain/ids.js';
import type { FieldSchema, Schema } from './domain/schema.js';
import type { Timestamp } from './domain/timestamp.js';
import type { FieldKind, Value } from './domain/value.js';
import { SynclineError } from './errors.js';

/**
 * The schema in a program: what its records look like, for the type checker and, before the first contact with the
 * server, for the client. The server keeps a schema of its own, which decides what it accepts; {@link schemaJson} gives
 * the program's in the form the server reads.
 */

/** What happens when two people write a register, a counter's value or a to-one link without knowing of each other. */
export interface ClashPolicies {
  /** Which value is shown until somebody decides. Default: `incumbent`, the one whose lineage was there first. */
  readonly provisional?: FieldSchema['provisional'];
  /** `open` (the default) opens a conflict; `settle` closes it at once by the provisional rule. */
  readonly onClash?: FieldSchema['onClash'];
  /** What a plain write does that knew all alternatives: `keep` (the default) the conflict, or `supersede` it. */
  readonly onDominate?: FieldSchema['onDominate'];
}

/** A field. The type parameters are its kind, the type of its value or elements, and the collection it links to. */
export interface FieldDefinition<
  K extends FieldKind = FieldKind,
  T = Value,
  C extends CollectionId = CollectionId,
> extends ClashPolicies {
  readonly kind: K;
  /** The collection that the field's links lead to; absent when they may lead to any. */
  readonly target?: C;
  /** Never there at run time: it keeps the type of a register's value or of a set's elements. */
  readonly value?: T;
}

/** Fields by id. */
export type CollectionDefinition = Readonly<Record<FieldId, FieldDefinition<FieldKind, unknown>>>;

/** The schema of a program, made by {@link defineSchema}. */
export interface SchemaDefinition<
  Collections extends Readonly<Record<CollectionId, CollectionDefinition>> = Readonly<
    Record<CollectionId, CollectionDefinition>
  >,
> {
  /** Absent: as the server has it. */
  readonly strict?: boolean;
  readonly collections: Collections;
}

/** The values a set can have as elements. */
export type ElementValue = null | boolean | number | bigint | string | Uint8Array | Timestamp;

/**
 * One value, replaced as a whole: `register<string>()`, or `register<Timestamp>()` for a time, which takes a `Date`, too.
 * For objects use a `type`; an `interface` does not fit.
 */
export function register<T extends Value = Value>(policies: ClashPolicies = {}): FieldDefinition<'register', T, never> {
  return { ...policies, kind: 'register' };
}

/** A text, merged by position; where two people changed the same words, a conflict of these words opens. Not for short strings such as titles or codes: those are registers. */
export function text(): FieldDefinition<'text', string, never> {
  return { kind: 'text' };
}

/** A sum of increments. */
export function counter(policies: ClashPolicies = {}): FieldDefinition<'counter', number, never> {
  return { ...policies, kind: 'counter' };
}

/** A set of scalar values: `set<string>()`. */
export function set<T extends ElementValue = ElementValue>(): FieldDefinition<'set', T, never> {
  return { kind: 'set' };
}

/** A link to at most one record, of the named collection or of any. */
export function toOne<C extends CollectionId = CollectionId>(
  collection?: C,
  policies: ClashPolicies = {},
): FieldDefinition<'to_one', never, C> {
  return { ...policies, kind: 'to_one', ...(collection !== undefined && { target: collection }) };
}

/** Links to any number of records, of the named collection or of any. */
export function toMany<C extends CollectionId = CollectionId>(collection?: C): FieldDefinition<'to_many', never, C> {
  return { kind: 'to_many', ...(collection !== undefined && { target: collection }) };
}

/** Said by the type checker of a link to a collection that the schema does not have. */
export interface UnknownCollection<C> {
  readonly thereIsNoCollection: C;
}

type CheckedField<Collections, F> =
  F extends FieldDefinition<FieldKind, unknown, infer C>
    ? [C] extends [never]
      ? F
      : string extends C
        ? F
        : C extends keyof Collections
          ? F
          : UnknownCollection<C>
    : never;

type Checked<Collections> = {
  readonly [C in keyof Collections]: {
    readonly [F in keyof Collections[C]]: CheckedField<Collections, Collections[C][F]>;
  };
};

/**
 * Defines what the records of a program look like.
 *
 * ```ts
 * const schema = defineSchema({
 *   collections: {
 *     people: { name: register<string>() },
 *     cards: { title: register<string>(), body: text(), votes: counter(), tags: set<string>(), assignee: toOne('people') },
 *   },
 * });
 * const client = createSyncline({ schema, url, workspace, actor });
 * ```
 *
 * `strict` refuses collections and fields that the schema does not have; absent, the server decides.
 */
export function defineSchema<
  const Collections extends Readonly<Record<CollectionId, CollectionDefinition>>,
>(definition: {
  readonly strict?: boolean;
  readonly collections: Collections & Checked<Collections>;
}): SchemaDefinition<Collections> {
  const { strict, collections } = definition;
  for (const [collection, fields] of Object.entries(collections as Readonly<Record<string, CollectionDefinition>>)) {
    checkId(collection, 'a collection');
    for (const [field, { target }] of Object.entries(fields)) {
      checkId(field, 'a field');
      if (target !== undefined && !Object.hasOwn(collections, target)) {
        throw new SynclineError('INVALID_ARGUMENT', `${collection}.${field} links to ${target}, which is not defined`);
      }
    }
  }
  return { ...(strict !== undefined && { strict }), collections };
}

function checkId(id: string, what: string): void {
  if (!isId(id)) throw new SynclineError('INVALID_ARGUMENT', `"${id}" cannot be the id of ${what}`);
}

/** A definition in the form in which the client keeps the server's schema. It has no version. */
export function schemaOf(definition: SchemaDefinition): Schema {
  const collections = Object.entries(definition.collections).map(([collection, fields]) => {
    const entries = Object.entries(fields).map(([id, field]): readonly [FieldId, FieldSchema] => [id, fieldOf(field)]);
    return [collection, new Map(entries)] as const;
  });
  return { version: 0, strict: definition.strict ?? false, collections: new Map(collections) };
}

function fieldOf(field: FieldDefinition<FieldKind, unknown>): FieldSchema {
  const { kind, provisional = 'incumbent', onClash = 'open', onDominate = 'keep' } = field;
  return { kind, provisional, onClash, onDominate };
}

/**
 * Where a server's schema does not say what the program's does, in words. Empty when records that fit the program fit
 * the server.
 */
export function schemaDifferences(definition: SchemaDefinition, server: Schema): readonly string[] {
  const differences: string[] = [];
  for (const [collection, fields] of Object.entries(definition.collections)) {
    const there = server.collections.get(collection);
    if (there === undefined && server.strict) differences.push(`the server has no collection ${collection}`);
    if (there === undefined) continue;
    for (const [id, { kind }] of Object.entries(fields)) {
      const other = there.get(id)?.kind;
      if (other === undefined) {
        if (server.strict) differences.push(`the server has no field ${collection}.${id}`);
      } else if (other !== kind) {
        const there = other === 'opaque' ? 'of a newer kind' : `a ${other}`;
        differences.push(`${collection}.${id} is ${there} on the server and a ${kind} in the program`);
      }
    }
  }
  return differences;
}

/**
 * A schema as `syncline.v1.Schema` has it in JSON, as far as the program says it: what `syncline schema apply` reads. What
 * is absent stays as the server has it.
 */
export function schemaJson(definition: SchemaDefinition): SchemaJson {
  const collections: Record<CollectionId, { readonly fields: Record<FieldId, FieldSchemaJson> }> = {};
  for (const [collection, fields] of Object.entries(definition.collections)) {
    const entries = Object.entries(fields).map(([id, field]) => [id, fieldJson(field)] as const);
    define(collections, collection, { fields: entries.reduce((all, [id, json]) => define(all, id, json), {}) });
  }
  return { ...(definition.strict !== undefined && { strict: definition.strict }), collections };
}

/** A name such as __proto__ is a name like any other. */
function define<T extends object>(object: T, name: string, value: unknown): T {
  return Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true });
}

/** A field in JSON; what is absent stays as it is, in a new field by default. */
export interface FieldSchemaJson {
  readonly kind: string;
  readonly provisional?: string;
  readonly onClash?: string;
  readonly onDominate?: string;
}

export interface SchemaJson {
  readonly strict?: boolean;
  readonly collections: Readonly<Record<CollectionId, { readonly fields: Readonly<Record<FieldId, FieldSchemaJson>> }>>;
}

function fieldJson(field: FieldDefinition<FieldKind, unknown>): FieldSchemaJson {
  const { kind, provisional, onClash, onDominate } = field;
  return {
    kind: `FIELD_KIND_${kind.toUpperCase()}`,
    ...(provisional && { provisional: `PROVISIONAL_RULE_${provisional.toUpperCase()}` }),
    ...(onClash && { onClash: `CLASH_RULE_${onClash.toUpperCase()}` }),
    ...(onDominate && { onDominate: `DOMINATE_RULE_${onDominate.toUpperCase()}` }),
  };
}
