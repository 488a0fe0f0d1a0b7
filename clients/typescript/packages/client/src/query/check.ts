import type { Query } from '../api.js';
import { isId } from '../domain/dot.js';
import { Timestamp } from '../domain/timestamp.js';
import { SynclineError } from '../errors.js';

type Parts = Readonly<Record<string, unknown>>;

const BY_VALUE: ReadonlySet<unknown> = new Set(['eq', 'ne', 'lt', 'lte', 'gt', 'gte', 'contains']);
const BY_ORDER: ReadonlySet<unknown> = new Set(['lt', 'lte', 'gt', 'gte']);
/** Conditions within conditions: more than anybody writes, and few enough that reading them cannot fail. */
const DEPTH_MAX = 64;

/**
 * Refuses a query that means nothing, and says which part of it: types do not help a program in plain JavaScript, and a
 * query that is only misspelt would be an empty list otherwise.
 */
export function checkQuery(query: Query): void {
  const { collection, limit, ...join } = parts(query, 'query', ['collection', 'where', 'orderBy', 'limit', 'include']);
  checkId(collection, 'query.collection');
  if (limit !== undefined && !(typeof limit === 'number' && Number.isSafeInteger(limit) && limit >= 0)) {
    refuse('query.limit', 'is a whole number from 0 on');
  }
  checkJoin(join, 'query', 0);
}

function checkJoin({ where, orderBy, include }: Parts, at: string, depth: number): void {
  if (where !== undefined) checkWhere(where, `${at}.where`, depth);
  if (orderBy !== undefined) {
    for (const [index, order] of list(orderBy, `${at}.orderBy`).entries()) {
      checkOrder(order, `${at}.orderBy[${index}]`);
    }
  }
  if (include === undefined) return;
  for (const [name, join] of Object.entries(parts(include, `${at}.include`))) {
    const place = `${at}.include.${name}`;
    const { via, from, ...rest } = parts(join, place, ['via', 'from', 'where', 'orderBy', 'include']);
    checkId(via, `${place}.via`);
    if (from !== undefined) checkId(from, `${place}.from`);
    if (depth >= DEPTH_MAX) refuse(place, 'is nested too deeply');
    checkJoin(rest, place, depth + 1);
  }
}

function checkOrder(order: unknown, at: string): void {
  const { field, direction } = parts(order, at, ['field', 'direction']);
  checkId(field, `${at}.field`);
  if (direction !== undefined && direction !== 'asc' && direction !== 'desc') {
    refuse(`${at}.direction`, 'is "asc" or "desc"');
  }
}

/** A condition, or the short form: fields with the values that they equal. */
function checkWhere(where: unknown, at: string, depth: number): void {
  const form = parts(where, at);
  if (isMeantAsCondition(form)) {
    checkCondition(form, at, depth);
    return;
  }
  for (const [field, value] of Object.entries(form)) {
    checkId(field, `${at}: the field "${field}"`);
    if (value === undefined) refuse(`${at}.${field}`, 'is undefined; leave it out, or say null for a missing value');
    const plain = value === null || typeof value === 'boolean' || typeof value === 'string';
    if (!plain && !isNumber(value) && !(value instanceof Timestamp)) {
      refuse(`${at}.${field}`, 'is no plain value; write a condition: { field, op, value }');
    }
  }
}

function isMeantAsCondition(form: Parts): boolean {
  const names = Object.keys(form);
  if ('field' in form && 'op' in form) return names.every((name) => ['field', 'op', 'value', 'values'].includes(name));
  if (names.length !== 1) return false;
  const nested = (value: unknown) => typeof value === 'object' && value !== null && !(value instanceof Timestamp);
  return nested(form['all']) || nested(form['any']) || nested(form['not']);
}

function checkCondition(condition: unknown, at: string, depth: number): void {
  if (depth > DEPTH_MAX) refuse(at, 'is nested too deeply');
  const form = parts(condition, at);
  for (const name of ['all', 'any']) {
    if (!(name in form)) continue;
    parts(form, at, [name]);
    for (const [index, each] of list(form[name], `${at}.${name}`).entries()) {
      checkCondition(each, `${at}.${name}[${index}]`, depth + 1);
    }
    return;
  }
  if ('not' in form) {
    parts(form, at, ['not']);
    checkCondition(form['not'], `${at}.not`, depth + 1);
    return;
  }
  const { field, op, value, values } = parts(form, at, ['field', 'op', 'value', 'values']);
  checkId(field, `${at}.field`);
  if (op === 'in') {
    if (!Array.isArray(values)) refuse(`${at}.values`, 'is a list, of which the field equals one');
    return;
  }
  if (!BY_VALUE.has(op)) {
    refuse(`${at}.op`, `is one of eq, ne, lt, lte, gt, gte, in, contains, not ${JSON.stringify(op)}`);
  }
  if (value === undefined) refuse(`${at}.value`, 'is missing; say null for a missing value');
  const isOrdered = isNumber(value) || typeof value === 'string' || value instanceof Timestamp;
  if (BY_ORDER.has(op) && !isOrdered) refuse(`${at}.value`, 'is a number, a string or a time');
}

/** An object, all of whose names are known. */
function parts(value: unknown, at: string, known?: readonly string[]): Parts {
  const plain = typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Timestamp);
  if (!plain) refuse(at, 'is an object');
  const stranger = known === undefined ? undefined : Object.keys(value).find((name) => !known.includes(name));
  if (stranger !== undefined) refuse(`${at}.${stranger}`, `is not known; there are ${known?.join(', ') ?? ''}`);
  return value as Parts;
}

function list(value: unknown, at: string): readonly unknown[] {
  if (!Array.isArray(value)) refuse(at, 'is a list');
  return value;
}

function checkId(value: unknown, at: string): void {
  if (typeof value !== 'string' || !isId(value)) refuse(at, 'is an id: 1 to 64 of letters, digits, "_" and "-"');
}

function isNumber(value: unknown): boolean {
  return typeof value === 'bigint' || (typeof value === 'number' && !Number.isNaN(value));
}

function refuse(at: string, what: string): never {
  throw new SynclineError('INVALID_ARGUMENT', `${at} ${what}`);
}
