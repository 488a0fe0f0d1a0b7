import type { Condition, OrderBy, Query, RecordView, Where } from '../api.js';
import { compareStrings, compareValues, isNumber, sameValue } from '../domain/order.js';
import { Timestamp } from '../domain/timestamp.js';
import type { Value } from '../domain/value.js';
import { SynclineError } from '../errors.js';

/** Whether a record fits. */
export type Predicate = (view: RecordView) => boolean;

/** A total order: ties are broken by id. */
export type Comparator = (a: RecordView, b: RecordView) => number;

const OPERATORS: ReadonlySet<unknown> = new Set(['eq', 'ne', 'lt', 'lte', 'gt', 'gte', 'in', 'contains']);

export function predicateOf(where: Where | undefined): Predicate {
  if (where === undefined) return () => true;
  if (isCondition(where)) return conditionOf(where);
  const fields = Object.entries(where);
  return (view) => fields.every(([field, value]) => sameValue(view.fields[field], value));
}

/** The short form has fields with plain values, which no condition has. */
function isCondition(where: Where): where is Condition {
  const form = where as Readonly<Record<string, unknown>>;
  if (Array.isArray(form.all) || Array.isArray(form.any)) return true;
  if (typeof form.not === 'object' && form.not !== null) return true;
  return typeof form.field === 'string' && OPERATORS.has(form.op) && ('value' in form || 'values' in form);
}

function conditionOf(condition: Condition): Predicate {
  if ('all' in condition) {
    const all = condition.all.map(conditionOf);
    return (view) => all.every((holds) => holds(view));
  }
  if ('any' in condition) {
    const any = condition.any.map(conditionOf);
    return (view) => any.some((holds) => holds(view));
  }
  if ('not' in condition) {
    const holds = conditionOf(condition.not);
    return (view) => !holds(view);
  }
  const { field } = condition;
  switch (condition.op) {
    case 'eq':
      return (view) => sameValue(view.fields[field], condition.value);
    case 'ne':
      return (view) => !sameValue(view.fields[field], condition.value);
    case 'in':
      return (view) => condition.values.some((value) => sameValue(view.fields[field], value));
    case 'contains':
      return (view) => contains(view.fields[field], condition.value);
    case 'lt':
      return (view) => ordered(view.fields[field], condition.value, (order) => order < 0);
    case 'lte':
      return (view) => ordered(view.fields[field], condition.value, (order) => order <= 0);
    case 'gt':
      return (view) => ordered(view.fields[field], condition.value, (order) => order > 0);
    case 'gte':
      return (view) => ordered(view.fields[field], condition.value, (order) => order >= 0);
    default:
      throw new SynclineError('INVALID_ARGUMENT', 'a query has a condition of an unknown form');
  }
}

/** Numbers with numbers, strings with strings and times with times; anything else does not hold. */
function ordered(value: Value | undefined, bound: Value, fits: (order: number) => boolean): boolean {
  const comparable =
    (isNumber(value) && isNumber(bound)) ||
    (typeof value === 'string' && typeof bound === 'string') ||
    (value instanceof Timestamp && bound instanceof Timestamp);
  return comparable && fits(compareValues(value, bound));
}

function contains(value: Value | undefined, part: Value): boolean {
  if (typeof value === 'string') return typeof part === 'string' && value.includes(part);
  return Array.isArray(value) && value.some((element: Value) => sameValue(element, part));
}

export function comparatorOf(orderBy: readonly OrderBy[] = []): Comparator {
  const orders = orderBy.map(({ field, direction }) => ({ field, sign: direction === 'desc' ? -1 : 1 }));
  return (a, b) => {
    for (const { field, sign } of orders) {
      const order = compareValues(a.fields[field], b.fields[field]);
      if (order !== 0) return order * sign;
    }
    return compareStrings(a.id, b.id);
  };
}

/** Equal for equal queries. */
export function queryKey(query: Query): string {
  return JSON.stringify(query, function (this: Readonly<Record<string, unknown>>, name, value: unknown) {
    // A time is text already, which a string could be, too.
    if (this[name] instanceof Timestamp) return { time: value };
    if (typeof value === 'bigint') return { bigint: `${value}` };
    return value instanceof Uint8Array ? { bytes: [...value] } : value;
  });
}
