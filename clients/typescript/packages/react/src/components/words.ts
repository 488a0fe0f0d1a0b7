import { Timestamp } from '@syncline/client';
import type {
  CloseReason,
  ConflictSummary,
  ConnectionReason,
  ConnectionSnapshot,
  Refusal,
  Value,
} from '@syncline/client';

const number = new Intl.NumberFormat('en');

/** `1 change`, `2 changes`. */
export function count(amount: number, one: string, many = `${one}s`): string {
  return `${number.format(amount)} ${amount === 1 ? one : many}`;
}

const waiting = (pending: number) =>
  pending > 0 ? ` ${count(pending, 'change')} kept here until then.` : ' What you change is kept here until then.';

const REASONS: Readonly<Record<ConnectionReason, string>> = {
  asked: 'You are working offline.',
  no_network: 'This device has no network.',
  unreachable: 'The server cannot be reached.',
  slow_link: 'The connection is slow; changes take longer to arrive.',
  stream_blocked:
    'The server answers, but changes do not arrive: something in between, such as a proxy, holds them back.',
  lossy_link: 'The connection loses messages; changes take longer to arrive.',
  unstable_link: 'The connection keeps breaking; changes take longer to arrive.',
  overloaded: 'The server is busy; changes are sent when it has time.',
  credentials: 'You are signed out. Sign in again to go on syncing.',
  forbidden: 'You may not read this workspace any more. Your own changes are kept here.',
  unknown_workspace: 'The server does not know this workspace.',
  protocol: 'The server sent something that cannot be true. Everything is being read again.',
  history_rewound: 'The server was restored to an earlier state. Your own changes are being put back.',
  update_needed: 'An update is needed: the server is newer than this application. Your own changes are kept here.',
  storage_full: 'This device is full: your latest changes are not saved. Keep this page open.',
  storage_memory: 'This browser keeps nothing: changes are lost when the page closes.',
  paused: 'Sending is paused.',
};

/** What each state says by default. */
export const STATE_WORDS: Readonly<Record<ConnectionSnapshot['state'], (snapshot: ConnectionSnapshot) => string>> = {
  online: () => '',
  offline: (s) => `${REASONS[s.reason ?? 'unreachable']}${waiting(s.queue.pending)}`,
  reconnecting: (s) => `Connecting again…${waiting(s.queue.pending)}`,
  syncing: (s) => {
    if (s.snapshot) {
      const of = s.snapshot.estimated > 0 ? ` of about ${number.format(s.snapshot.estimated)}` : '';
      return `Loading ${number.format(s.snapshot.received)}${of} records…`;
    }
    if (s.queue.pending > 0) return `Sending ${count(s.queue.pending, 'change')}…`;
    return `Catching up: ${count(Math.max(0, s.feed.head - s.feed.position), 'change')} to go…`;
  },
  degraded: (s) => REASONS[s.reason ?? 'slow_link'],
};

const REFUSALS: Readonly<Record<string, string>> = {
  RECORD_NOT_FOUND: 'The record does not exist any more.',
  RECORD_DELETED: 'Somebody deleted the record.',
  RECORD_EXISTS: 'There is a record with this name already.',
  DEPENDENCY_REJECTED: 'It builds on a change that was refused.',
  UNDECLARED_COLLECTION: 'The workspace has no such collection any more.',
  UNDECLARED_FIELD: 'The workspace has no such field any more.',
  UNKNOWN_FIELD: 'The server is older than this application and cannot do this yet.',
  UNKNOWN_ACTION: 'The server is older than this application and cannot do this yet.',
  KIND_MISMATCH: 'The field holds something else now.',
  TEXT_TOO_LARGE: 'The text would be too long.',
  SET_TOO_LARGE: 'The list would be too long.',
  COUNTER_OUT_OF_RANGE: 'The number would be too large.',
  OPERATION_TOO_LARGE: 'The change is too large.',
  COLLECTION_MISMATCH: 'Something else has this name already.',
  TOO_MANY_SIDES: 'Too many people have changed this at once; somebody has to decide first.',
  CONFLICT_CHANGED: 'Somebody added to the conflict meanwhile.',
  CONFLICT_NOT_LIVE: 'The conflict was decided already.',
};

/** A refusal for people; the server's own words where there are no better ones. */
export function refusalWords(refusal: Refusal): string {
  const known = REFUSALS[refusal.reason];
  if (known !== undefined) return known;
  const said = refusal.message || refusal.reason;
  return `${said.charAt(0).toUpperCase()}${said.slice(1)}${said.endsWith('.') ? '' : '.'}`;
}

const KINDS: Readonly<Record<ConflictSummary['kind'], string>> = {
  register: 'Different values',
  text_overlap: 'Overlapping edits',
  edit_delete: 'Edited and deleted',
  relationship: 'Linked and deleted',
  unknown: 'Something newer',
};

/** What clashed, in two words. */
export const kindWords = (kind: ConflictSummary['kind']): string => KINDS[kind];

const WHAT_HAPPENED: Readonly<Record<ConflictSummary['kind'], string>> = {
  register: 'set it',
  text_overlap: 'changed the same part of it',
  edit_delete: 'edited and deleted it',
  relationship: 'linked to a record and deleted it',
  unknown: 'changed it',
};

/** Who wrote something, where they said so. */
export const authorWords = (actor: string): string => (actor === '' ? 'Somebody' : actor);

/** `Ada and Grace`; everybody once. */
export const namesWords = (actors: readonly string[]): string =>
  new Intl.ListFormat('en').format(new Set(actors.map(authorWords)));

const CLOSED: Readonly<Record<CloseReason, string>> = {
  resolved: 'was decided',
  converged: 'went away: all sides came to the same',
  deleted: 'went away with its record',
  superseded: 'was replaced by a later change',
  policy: 'was settled by the rule of its field',
  merged: 'became part of an older conflict',
};

/** Why a conflict closed, such as `was decided`. */
export const closeWords = (reason: CloseReason): string => CLOSED[reason];

/** Who clashed and how, such as `Ada and Grace set it without having seen each other’s change.` */
export function clashWords(kind: ConflictSummary['kind'], actors: readonly string[]): string {
  const names = [...new Set(actors.map(authorWords))];
  const who = namesWords(names.length === 1 ? [...names, 'the same person elsewhere'] : names);
  return `${who} ${WHAT_HAPPENED[kind]} without having seen each other’s change.`;
}

/** An identifier of a field for people: `blocked_by` is `Blocked by`. */
export function fieldWords(field: string): string {
  const spaced = field.replaceAll(/[_-]+/g, ' ').trim();
  return spaced === '' ? 'Record' : spaced.charAt(0).toUpperCase() + spaced.slice(1);
}

/** Several fields, or the whole record. */
export function fieldsWords(fields: readonly string[]): string {
  return fields.length === 0 ? fieldWords('') : fields.map(fieldWords).join(', ');
}

/** What stands in the place of what this version cannot show. */
export const NEWER_WORDS = 'Needs a newer version';

/** The beginning of a longer text, cut between characters. */
export function beginningWords(text: string): string {
  const beginning = Array.from(text.slice(0, 2 * BEGINNING_MAX))
    .slice(0, BEGINNING_MAX)
    .join('');
  return beginning.length < text.length ? `${beginning}…` : text;
}
const BEGINNING_MAX = 200;

/** A value in one line. */
export function valueWords(value: Value | undefined): string {
  if (value === undefined || value === null) return 'nothing';
  if (typeof value === 'string') return value === '' ? 'empty' : value;
  if (value instanceof Uint8Array) return count(value.length, 'byte');
  if (value instanceof Timestamp) return timeWords(value.toDate().getTime());
  if (Array.isArray(value)) return value.length === 0 ? 'none' : value.map((one: Value) => valueWords(one)).join(', ');
  if (typeof value === 'object')
    return JSON.stringify(value, (_key, one: unknown) => (typeof one === 'bigint' ? String(one) : one));
  return String(value);
}

const time = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });

/** A moment by the reader's clock. */
export const timeWords = (atMs: number | undefined): string =>
  atMs === undefined ? 'at an unknown time' : time.format(new Date(atMs));
