/**
 * Arguments of hooks as strings, so that an object written in place (a new one for every render) is the same argument as
 * long as it says the same. `JSON` with the values it lacks.
 */

const TAG = '$syncline';

/** Equal for arguments that say the same. */
export function encodeArgument(argument: unknown): string {
  return JSON.stringify(argument, function replace(_key, value: unknown) {
    if (typeof value === 'bigint') return { [TAG]: 'bigint', value: value.toString() };
    if (value instanceof Uint8Array) return { [TAG]: 'bytes', value: [...value] };
    if (typeof value === 'number' && !Number.isFinite(value)) return { [TAG]: 'number', value: String(value) };
    return value;
  });
}

/** The argument again. */
export function decodeArgument<T>(text: string): T {
  return JSON.parse(text, (_key, value: unknown) => {
    if (typeof value !== 'object' || value === null || !(TAG in value)) return value;
    const tagged = value as { [TAG]: string; value: unknown };
    if (tagged[TAG] === 'bigint') return BigInt(String(tagged.value));
    if (tagged[TAG] === 'bytes') return Uint8Array.from(tagged.value as number[]);
    return Number(tagged.value);
  }) as T;
}
