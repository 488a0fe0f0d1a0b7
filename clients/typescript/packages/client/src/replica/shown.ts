import type { RecordView } from '../api.js';
import type { CollectionId, FieldId, RecordId } from '../domain/ids.js';
import type { FieldState } from '../domain/value.js';

/** What of a record others depend on: where it is listed, and where it points to. */
interface Indexed {
  readonly collectionId: CollectionId;
  readonly shown: boolean;
  /** `fieldId` and target, alternating; shared when empty. */
  readonly links: readonly string[];
}

/** A record's present state, for the index. */
export interface Indexable {
  readonly collectionId: CollectionId;
  readonly deleted: boolean;
  readonly fields: Iterable<readonly [FieldId, FieldState]>;
}

const NO_LINKS: readonly string[] = [];
const NOBODY: ReadonlySet<RecordId> = new Set();

/** Which records are shown, who links to whom, and the views that were handed out. */
export class ShownIndex {
  private readonly indexed = new Map<RecordId, Indexed>();
  private readonly members = new Map<CollectionId, Set<RecordId>>();
  /** Target, then `collection.field` of the source. */
  private readonly incoming = new Map<RecordId, Map<string, Set<RecordId>>>();
  private readonly views = new Map<RecordId, { readonly view: RecordView; stale: boolean }>();

  clear(): void {
    this.indexed.clear();
    this.members.clear();
    this.incoming.clear();
    for (const entry of this.views.values()) entry.stale = true;
  }

  isShown(id: RecordId): boolean {
    return this.indexed.get(id)?.shown === true;
  }

  idsOf(collection: CollectionId): Iterable<RecordId> {
    return this.members.get(collection) ?? NOBODY;
  }

  linkedFrom(target: RecordId, collection: CollectionId, field: FieldId): Iterable<RecordId> {
    return this.incoming.get(target)?.get(`${collection}.${field}`) ?? NOBODY;
  }

  /** Everybody who links to a record, through whatever field. */
  *sourcesOf(target: RecordId): Iterable<RecordId> {
    for (const sources of this.incoming.get(target)?.values() ?? []) yield* sources;
  }

  /** Takes in a record's new state. Returns whether it came or went, which changes how links to it are shown. */
  update(id: RecordId, now: Indexable | undefined): boolean {
    const before = this.indexed.get(id);
    const links = now === undefined ? NO_LINKS : linksOf(now.fields);
    const shown = now !== undefined && !now.deleted;
    const view = this.views.get(id);
    if (view !== undefined) view.stale = true;
    if (before !== undefined && before.collectionId === now?.collectionId && before.shown === shown) {
      if (
        links === before.links ||
        (links.length === before.links.length && links.every((l, i) => l === before.links[i]))
      ) {
        return false;
      }
    }
    if (before !== undefined) this.withdraw(id, before);
    if (now === undefined) this.indexed.delete(id);
    else this.enter(id, { collectionId: now.collectionId, shown, links });
    return (before?.shown ?? false) !== shown;
  }

  private enter(id: RecordId, entry: Indexed): void {
    this.indexed.set(id, entry);
    if (entry.shown) {
      const members = this.members.get(entry.collectionId);
      if (members === undefined) this.members.set(entry.collectionId, new Set([id]));
      else members.add(id);
    }
    for (let index = 0; index < entry.links.length; index += 2) {
      const target = entry.links[index + 1] ?? '';
      const through = `${entry.collectionId}.${entry.links[index] ?? ''}`;
      let fields = this.incoming.get(target);
      if (fields === undefined) this.incoming.set(target, (fields = new Map()));
      const sources = fields.get(through);
      if (sources === undefined) fields.set(through, new Set([id]));
      else sources.add(id);
    }
  }

  private withdraw(id: RecordId, entry: Indexed): void {
    if (entry.shown) this.members.get(entry.collectionId)?.delete(id);
    for (let index = 0; index < entry.links.length; index += 2) {
      const target = entry.links[index + 1] ?? '';
      const fields = this.incoming.get(target);
      const through = `${entry.collectionId}.${entry.links[index] ?? ''}`;
      const sources = fields?.get(through);
      sources?.delete(id);
      if (sources?.size === 0) fields?.delete(through);
      if (fields?.size === 0) this.incoming.delete(target);
    }
  }

  /** The view of a record, made by `make` from the one before when it is not fresh. */
  view(id: RecordId, make: (before: RecordView | undefined) => RecordView | undefined): RecordView | undefined {
    const entry = this.views.get(id);
    if (entry !== undefined && !entry.stale) return entry.view;
    const view = make(entry?.view);
    if (view === undefined) this.views.delete(id);
    else this.views.set(id, { view, stale: false });
    return view;
  }

  /** How a record is shown may have changed, but not what is indexed of it. */
  touch(id: RecordId): void {
    const entry = this.views.get(id);
    if (entry !== undefined) entry.stale = true;
  }
}

function linksOf(fields: Iterable<readonly [FieldId, FieldState]>): readonly string[] {
  let links: string[] | undefined;
  for (const [fieldId, state] of fields) {
    if (state.kind === 'to_one' && state.target !== null) (links ??= []).push(fieldId, state.target);
    else if (state.kind === 'to_many') for (const target of state.targets) (links ??= []).push(fieldId, target);
  }
  return links ?? NO_LINKS;
}
