/**
 * What a schema in the program says about the types of records. Without one (`Untyped`) every collection and field may
 * be there and have any value. Nothing in here exists at run time.
 */
import type { CollectionId, FieldId } from './domain/ids.js';
import type { Timestamp } from './domain/timestamp.js';
import type { Double, FieldKind, Value, WritableValue } from './domain/value.js';
import type { FieldDefinition, SchemaDefinition } from './schema.js';

/** The schema of a program that has none. */
export type Untyped = SchemaDefinition<Readonly<Record<CollectionId, Readonly<Record<FieldId, FieldDefinition>>>>>;

/** The ids of a schema's collections. */
export type CollectionOf<S extends SchemaDefinition> = keyof S['collections'] & string;

declare const ofCollection: unique symbol;

/**
 * The id of a record of the collection. Any string is accepted where one is wanted; an id that came from a record or
 * was made by `newId<'cards'>()` remembers its collection, so that a wrong field or link is found by the type checker.
 */
export type Id<C extends CollectionId = CollectionId> = string & { readonly [ofCollection]?: C };

/** The id of a record as the client gives it: without a schema in the program a plain string. */
export type IdOf<S extends SchemaDefinition, C extends CollectionId> = string extends CollectionOf<S> ? string : Id<C>;

/** The id that a link shows: a plain string when the schema does not say where the links lead. */
type LinkedId<C extends CollectionId> = string extends C ? string : Id<C>;

/** A field of a collection. */
type FieldAt<S extends SchemaDefinition, C, F> =
  C extends CollectionOf<S> ? (F extends keyof S['collections'][C] ? S['collections'][C][F] : never) : never;

/** The ids of a collection's fields; of several collections those of all. */
export type FieldOf<S extends SchemaDefinition, C> =
  C extends CollectionOf<S> ? keyof S['collections'][C] & string : never;

/** The ids of a collection's fields of one of the kinds. */
export type FieldOfKind<S extends SchemaDefinition, C, K extends FieldKind> =
  C extends CollectionOf<S>
    ? {
        [F in keyof S['collections'][C] & string]: K extends S['collections'][C][F]['kind'] ? F : never;
      }[keyof S['collections'][C] & string]
    : never;

type IsAnyKind<F extends { readonly kind: FieldKind }> = FieldKind extends F['kind'] ? true : false;

/** What a field of a record shows. */
type ShownField<F> = F extends { readonly kind: FieldKind }
  ? IsAnyKind<F> extends true
    ? Value
    : F extends FieldDefinition<'register', infer T>
      ? T | null
      : F extends FieldDefinition<'text', string>
        ? string
        : F extends FieldDefinition<'counter', number>
          ? number | bigint
          : F extends FieldDefinition<'set', infer T>
            ? readonly T[]
            : F extends FieldDefinition<'to_one', unknown, infer C>
              ? LinkedId<C> | null
              : F extends FieldDefinition<'to_many', unknown, infer C>
                ? readonly LinkedId<C>[]
                : never
  : never;

/** What a field of a collection shows. */
export type ShownOf<S extends SchemaDefinition, C, F> = ShownField<FieldAt<S, C, F>>;

/**
 * The fields of a record as shown. A register that was never set is null, a text is empty, a counter is 0, a set and
 * links are empty; without a schema in the program a field that was never set is absent.
 */
export type FieldsOf<S extends SchemaDefinition, C> =
  C extends CollectionOf<S> ? { readonly [F in keyof S['collections'][C]]: ShownField<S['collections'][C][F]> } : never;

/** A value that can be written into a register. */
type Written<T> = Value extends T
  ? WritableValue
  : T | null | (number extends T ? Double : never) | (Timestamp extends T ? Date : never);

/** What a register takes. */
export type RegisterValue<S extends SchemaDefinition, C, F> =
  FieldAt<S, C, F> extends FieldDefinition<FieldKind, infer T> ? Written<T> : never;

/** An element of a set. */
export type ElementOf<S extends SchemaDefinition, C, F> =
  FieldAt<S, C, F> extends FieldDefinition<FieldKind, infer T>
    ? Value extends T
      ? WritableValue
      : T | (Timestamp extends T ? Date : never)
    : never;

/** The collection that a field's links lead to. */
export type TargetOf<S extends SchemaDefinition, C, F> =
  FieldAt<S, C, F> extends FieldDefinition<FieldKind, unknown, infer T> ? T : never;

/** What a record's field can be created with. */
type InitialField<F> = F extends { readonly kind: FieldKind }
  ? IsAnyKind<F> extends true
    ? WritableValue
    : F extends FieldDefinition<'register', infer T>
      ? Written<T>
      : ShownField<F>
  : never;

/** What a record can be created with. */
export type InitialFields<S extends SchemaDefinition, C> =
  C extends CollectionOf<S>
    ? { readonly [F in keyof S['collections'][C]]?: InitialField<S['collections'][C][F]> }
    : never;
