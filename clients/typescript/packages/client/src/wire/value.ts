import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ExactValue } from '../domain/value.js';
import type { Value as WireValue, ValueSchema } from '../gen/syncline/v1/value_pb.js';
import { present, safeNumber } from './numbers.js';
import { hasUnknown } from './codec.js';
import { UnknownContent, WireError } from './wire-error.js';

/** A value of the protocol as the domain has it; throws {@link UnknownContent} for one of a newer version. */
export function valueFromWire(value: WireValue | undefined): ExactValue {
  const message = present(value, 'a value');
  const { kind } = message;
  switch (kind.case) {
    case 'nullValue':
      return { kind: 'null' };
    case 'boolValue':
      return { kind: 'bool', value: kind.value };
    case 'intValue':
      return { kind: 'int', value: kind.value };
    case 'doubleValue':
      return { kind: 'double', value: kind.value };
    case 'stringValue':
      return { kind: 'string', value: kind.value };
    case 'bytesValue':
      return { kind: 'bytes', value: kind.value };
    case 'listValue':
      return { kind: 'list', values: kind.value.values.map(valueFromWire) };
    case 'mapValue':
      return {
        kind: 'map',
        entries: new Map(Object.entries(kind.value.entries).map(([name, entry]) => [name, valueFromWire(entry)])),
      };
    case 'timestampValue':
      return { kind: 'timestamp', seconds: safeNumber(kind.value.seconds), nanos: kind.value.nanos };
    case undefined:
      if (hasUnknown(message)) throw new UnknownContent('a value of a kind this client does not know');
      throw new WireError('a value without a kind');
  }
}

/** A value for the protocol. Entries of maps are in the order of their names, so that equal values give equal bytes. */
export function valueToWire(value: ExactValue): MessageInitShape<typeof ValueSchema> {
  switch (value.kind) {
    case 'null':
      return { kind: { case: 'nullValue', value: {} } };
    case 'bool':
      return { kind: { case: 'boolValue', value: value.value } };
    case 'int':
      return { kind: { case: 'intValue', value: value.value } };
    case 'double':
      return { kind: { case: 'doubleValue', value: value.value } };
    case 'string':
      return { kind: { case: 'stringValue', value: value.value } };
    case 'bytes':
      return { kind: { case: 'bytesValue', value: value.value } };
    case 'timestamp':
      return { kind: { case: 'timestampValue', value: { seconds: BigInt(value.seconds), nanos: value.nanos } } };
    case 'list':
      return { kind: { case: 'listValue', value: { values: value.values.map(valueToWire) } } };
    case 'map':
      return { kind: { case: 'mapValue', value: { entries: entriesToWire(value.entries) } } };
  }
}

/** A map of values, in the order of the names. */
export function entriesToWire(
  entries: ReadonlyMap<string, ExactValue>,
): Record<string, MessageInitShape<typeof ValueSchema>> {
  // No prototype: a name such as __proto__ is a name like any other.
  const out = Object.create(null) as Record<string, MessageInitShape<typeof ValueSchema>>;
  for (const name of [...entries.keys()].sort()) out[name] = valueToWire(present(entries.get(name), name));
  return out;
}
