import type { ConflictDetail } from '@syncline/client';

/** Two versions of one part of a text, one after the other. */
export interface BothVersions {
  /** Who wrote which, in the order of the text; several who wrote the same. */
  readonly actors: readonly [first: readonly string[], second: readonly string[]];
  readonly text: string;
}

/**
 * The two ways to take both versions. None unless there are two, both with something new in them: where one of them deleted
 * the place, went back to what was there, or has all of the other, taking both is no more than taking one.
 */
export function bothVersions({ alternatives, baseValue, region }: ConflictDetail): readonly BothVersions[] {
  const authors = new Map<string, string[]>();
  for (const { value, wholeBytes, actor } of alternatives) {
    if (typeof value !== 'string' || wholeBytes !== undefined) return [];
    authors.set(value, [...(authors.get(value) ?? []), actor]);
  }
  const [one, other, further] = [...authors];
  if (region === undefined || one === undefined || other === undefined || further !== undefined) return [];
  const versions = [one[0], other[0]] as const;
  if (typeof baseValue !== 'string' || versions.includes(baseValue)) return [];
  if (versions[0].includes(versions[1]) || versions[1].includes(versions[0])) return [];
  return [
    { actors: [one[1], other[1]], text: joined(...versions) },
    { actors: [other[1], one[1]], text: joined(versions[1], versions[0]) },
  ];
}

/** One text after the other, with a blank between them unless there is white space, or one of them is empty. */
export function joined(first: string, second: string): string {
  const apart = first === '' || second === '' || /\s$/.test(first) || /^\s/.test(second);
  return `${first}${apart ? '' : ' '}${second}`;
}
