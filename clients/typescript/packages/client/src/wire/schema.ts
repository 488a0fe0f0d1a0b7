import type { FieldSchema, Schema } from '../domain/schema.js';
import type { KnownKind } from '../domain/value.js';
import {
  ClashRule,
  DominateRule,
  FieldKind as WireKind,
  ProvisionalRule,
  type FieldSchema as WireFieldSchema,
} from '../gen/syncline/v1/workspace_pb.js';
import type { GetSchemaResponse } from '../gen/syncline/v1/workspace_service_pb.js';
import { safeNumber } from './numbers.js';

const KINDS: Readonly<Partial<Record<WireKind, KnownKind>>> = {
  [WireKind.REGISTER]: 'register',
  [WireKind.TEXT]: 'text',
  [WireKind.COUNTER]: 'counter',
  [WireKind.SET]: 'set',
  [WireKind.TO_ONE]: 'to_one',
  [WireKind.TO_MANY]: 'to_many',
};

const PROVISIONAL: Readonly<Partial<Record<ProvisionalRule, FieldSchema['provisional']>>> = {
  [ProvisionalRule.LATEST]: 'latest',
  [ProvisionalRule.MIN]: 'min',
  [ProvisionalRule.MAX]: 'max',
};

/** A workspace's schema. A field of a kind this client does not know is opaque: it is neither shown nor written. */
export function schemaFromWire(response: GetSchemaResponse): Schema {
  const collections = new Map<string, ReadonlyMap<string, FieldSchema>>();
  for (const [collectionId, collection] of Object.entries(response.schema?.collections ?? {})) {
    const fields = new Map<string, FieldSchema>();
    for (const [fieldId, field] of Object.entries(collection.fields)) {
      fields.set(fieldId, fieldFromWire(KINDS[field.kind] ?? 'opaque', field));
    }
    collections.set(collectionId, fields);
  }
  return { version: safeNumber(response.schemaVersion), strict: response.schema?.strict ?? false, collections };
}

function fieldFromWire(kind: KnownKind, field: WireFieldSchema): FieldSchema {
  return {
    kind,
    provisional: PROVISIONAL[field.provisional] ?? 'incumbent',
    onClash: field.onClash === ClashRule.SETTLE ? 'settle' : 'open',
    onDominate: field.onDominate === DominateRule.SUPERSEDE ? 'supersede' : 'keep',
  };
}
