import type { FieldSchema, Schema } from '../domain/schema.js';
import type { KnownKind } from '../domain/value.js';
import type { FieldSchema as WireFieldSchema } from '../gen/syncline/v1/workspace_pb.js';
import type { GetSchemaResponse } from '../gen/syncline/v1/workspace_service_pb.js';
import { namesOf } from './conflict-summary.js';
import { safeNumber } from './numbers.js';

const KINDS = namesOf<KnownKind>('register text counter set to_one to_many');
const PROVISIONAL = namesOf<FieldSchema['provisional']>('incumbent latest min max');
const ON_CLASH = namesOf<FieldSchema['onClash']>('open settle');
const ON_DOMINATE = namesOf<FieldSchema['onDominate']>('keep supersede');

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
    onClash: ON_CLASH[field.onClash] ?? 'open',
    onDominate: ON_DOMINATE[field.onDominate] ?? 'keep',
  };
}
