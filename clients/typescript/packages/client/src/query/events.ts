import type { IncludeSpec, QueryEvent, Row } from '../api.js';

/**
 * What turned the old rows into the new ones. Rows leave first, from the last to the first; then, in the order of their
 * new places, rows enter and change. To follow in a list of one's own: take out what left and what changed, then put in
 * what entered and changed, each at its index.
 */
export function eventsBetween(
  before: readonly Row<IncludeSpec>[],
  after: readonly Row<IncludeSpec>[],
): readonly QueryEvent<IncludeSpec>[] {
  const places = new Map(before.map((row, index) => [row.record.id, index]));
  const changes: QueryEvent<IncludeSpec>[] = [];
  for (const [index, row] of after.entries()) {
    const previousIndex = places.get(row.record.id);
    places.delete(row.record.id);
    if (previousIndex === undefined) {
      changes.push({ type: 'enter', row, index });
      continue;
    }
    const previous = before[previousIndex];
    if (previous !== undefined && previous !== row)
      changes.push({ type: 'update', row, previous, index, previousIndex });
  }
  const left = [...places.values()].sort((a, b) => b - a);
  const leaves = left.flatMap((previousIndex): QueryEvent<IncludeSpec>[] => {
    const row = before[previousIndex];
    return row === undefined ? [] : [{ type: 'leave', row, previousIndex }];
  });
  return [...leaves, ...changes];
}
