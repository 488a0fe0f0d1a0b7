/** The neutral core: types, errors and what both entries share. Clients are made by `./browser` and `./node`. */
export type * from './api.js';
export type { ServerInfo } from './domain/change.js';
export type * from './domain/conflict.js';
export type {
  CausalContext,
  CollectionId,
  ConflictId,
  Dot,
  Epoch,
  FieldId,
  RecordId,
  ReplicaId,
  Seq,
} from './domain/ids.js';
export type { Hunk, Refusal } from './domain/operation.js';
export type { FieldSchema, Schema } from './domain/schema.js';
export type { Double, FieldKind, KnownKind, Value, WritableValue } from './domain/value.js';
export type * from './typed.js';
export { counter, defineSchema, register, schemaJson, set, text, toMany, toOne } from './schema.js';
export type {
  ClashPolicies,
  CollectionDefinition,
  ElementValue,
  FieldDefinition,
  FieldSchemaJson,
  SchemaDefinition,
  SchemaJson,
  UnknownCollection,
} from './schema.js';
export { SynclineError } from './errors.js';
export type { SynclineErrorCode } from './errors.js';
export { double } from './domain/exact.js';
export { Timestamp } from './domain/timestamp.js';
export { diff, diffCharacters, diffParts } from './domain/text/diff.js';
export { hunksOfInput } from './domain/text/input.js';
export { newId } from './new-id.js';
