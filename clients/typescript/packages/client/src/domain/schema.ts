import type { CollectionId, FieldId } from './ids.js';
import type { KnownKind } from './value.js';

/** A field's kind and policies. */
export interface FieldSchema {
  /** `opaque`: a kind that a newer version of this program knows. */
  readonly kind: KnownKind;
  readonly provisional: 'incumbent' | 'latest' | 'min' | 'max';
  readonly onClash: 'open' | 'settle';
  readonly onDominate: 'keep' | 'supersede';
}

/** What a workspace's records look like: as declared, or as derived from what was written. */
export interface Schema {
  readonly version: number;
  /** Unknown collections and fields are refused. */
  readonly strict: boolean;
  readonly collections: ReadonlyMap<CollectionId, ReadonlyMap<FieldId, FieldSchema>>;
}
