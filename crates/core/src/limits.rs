//! Every limit has a name here, with its unit last.

/// Operations in one Submit.
pub const OPERATIONS_PER_CALL_MAX: usize = 1_000;
/// Mutations in one operation.
pub const MUTATIONS_PER_OPERATION_MAX: usize = 100;
/// Encoded size of one operation.
pub const OPERATION_BYTES_MAX: usize = 256 * 1024;
/// Encoded size of a message to the server.
pub const MESSAGE_BYTES_MAX: usize = 1024 * 1024;
/// Encoded size at which a message from the server is cut.
pub const RESPONSE_PAGE_BYTES_MAX: usize = 1024 * 1024;
/// Dots in a causal context beside its base.
pub const EXTRAS_MAX: usize = 32;
/// Further dependencies of one operation: for each of its mutations the one that made its record, the one that made the
/// target of its link, and the edit before it.
pub const DEPENDENCIES_MAX: usize = 3 * MUTATIONS_PER_OPERATION_MAX;
/// Own earlier operations that a caller without a replica can name as known.
pub const AFTER_REQUESTS_MAX: usize = 32;
/// Ids of collections, records, fields, workspaces and requests.
pub const ID_BYTES_MAX: usize = 64;
/// Correlation ids, actors, client names, assignees.
pub const LABEL_BYTES_MAX: usize = 128;
/// The last position and the greatest epoch: both are below 2^63, so that languages without unsigned numbers of 64 bits
/// can hold them. No log gets there.
pub const SEQ_MAX: u64 = (1 << 63) - 1;
/// Nesting of a value. A map takes three messages a level, and decoders in many languages stop at 100 nested messages.
pub const VALUE_DEPTH_MAX: usize = 30;
/// The name of an entry of a map.
pub const MAP_NAME_BYTES_MAX: usize = 256;
/// Elements in one add or remove.
pub const ELEMENTS_PER_MUTATION_MAX: usize = 100;
/// An element of a set; elements are compared and removed together, by the thousand.
pub const ELEMENT_BYTES_MAX: usize = 1_024;
/// Elements of a set or to-many field.
pub const SET_ELEMENTS_MAX: u64 = 10_000;
/// Hunks in one text edit.
pub const TEXT_HUNKS_MAX: usize = 1_000;
/// What one operation may do, as it stands in the feed: a whole text may go, and a whole operation come in its place, as text
/// and as hunk. What is larger could not be received by clients with the usual limit of 4 MiB.
pub const EFFECT_BYTES_MAX: usize = TEXT_BYTES_MAX + 2 * OPERATION_BYTES_MAX + 64 * 1024;
/// A text field's size.
pub const TEXT_BYTES_MAX: usize = 1024 * 1024;
/// Operations in one text's merge window. An edit that needs more puts the whole text in conflict, with its author's version
/// of it.
pub const TEXT_WINDOW_OPERATIONS_MAX: usize = 25_000;
/// Edits in a row that need no order of all characters, after which a text forgets it.
pub const TEXT_WINDOW_IDLE_MAX: usize = 256;
/// Changes of a text through which a closed conflict is followed when it is opened again.
pub const REOPENED_CHANGES_MAX: usize = 10_000;
/// Collections in a schema.
pub const COLLECTIONS_MAX: usize = 200;
/// Fields in a collection.
pub const FIELDS_PER_COLLECTION_MAX: usize = 500;
/// Maximum weight of a schema: a client with the usual limits has to be able to read it, and a commit that changes it writes
/// all of it.
pub const SCHEMA_BYTES_MAX: usize = 512 * 1024;
/// What a collection or a field counts against that besides its name.
pub const SCHEMA_ENTRY_BYTES: usize = 24;
/// Held operations of one replica.
pub const HELD_PER_REPLICA_MAX: u64 = 1_000;
/// Bytes of held operations of one replica.
pub const HELD_BYTES_PER_REPLICA_MAX: u64 = 4 * 1024 * 1024;
/// Held operations of one workspace.
pub const HELD_PER_WORKSPACE_MAX: u64 = 50_000;
/// Bytes of held operations of one workspace.
pub const HELD_BYTES_PER_WORKSPACE_MAX: u64 = 256 * 1024 * 1024;
/// How long an operation waits for another.
pub const HOLD_OPERATION_MS: i64 = 24 * 60 * 60 * 1000;
/// How long an operation waits for a record.
pub const HOLD_RECORD_MS: i64 = 60 * 1000;
/// Held operations released by one settled operation within a transaction.
pub const RELEASE_CASCADE_MAX: usize = 250;
/// Hops followed when looking for a cycle of waits.
pub const WAIT_CHAIN_HOPS_MAX: usize = 64;
/// How long a request id is remembered.
pub const REQUEST_ID_MS: i64 = 24 * 60 * 60 * 1000;
/// Collections a feed can name; a client that wants more can as well follow the whole feed.
pub const FEED_COLLECTIONS_MAX: usize = 100;
/// Feeds on one stream.
pub const FEEDS_PER_STREAM_MAX: usize = 16;
/// How far ahead a conflict can be deferred.
pub const DEFER_MS_MAX: i64 = 366 * 24 * 60 * 60 * 1000;
/// Steps back through a field's history in search of a conflict's base value.
pub const BASE_SEARCH_STEPS_MAX: usize = 64;
/// A value kept within a conflict; longer texts are cut.
pub const CONFLICT_VALUE_BYTES_MAX: usize = 64 * 1024;
/// Positions of which the chain is kept in memory, beside those of changes that are.
pub const CHAINS_KNOWN_MAX: usize = 4_096;
/// Sides that a conflict may have, and values of a field that did not know each other. Every further write rewrites all of
/// them.
pub const CONFLICT_SIDES_MAX: usize = 256;
/// What the values of a conflict's sides may weigh together.
pub const CONFLICT_SIDES_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Pairs of operations that clashed which a conflict keeps: the first ones. Its sides name all who take part.
pub const CONFLICT_PAIRS_MAX: usize = 256;
/// Events that a conflict keeps, beside those that opened it: the latest ones. The others are in the log.
pub const CONFLICT_EVENTS_MAX: usize = 256;
/// Maximum number of changes of a counter that are looked at to tell whether an increment met others.
pub const BEHIND_STEPS_MAX: usize = 64;
/// Hops a walk back through a field's chain may take.
pub const CHAIN_STEPS_MAX: usize = 100_000;

const _: () = assert!(OPERATION_BYTES_MAX < MESSAGE_BYTES_MAX);
const _: () = assert!(CONFLICT_VALUE_BYTES_MAX < OPERATION_BYTES_MAX);
const _: () = assert!(HELD_PER_REPLICA_MAX < HELD_PER_WORKSPACE_MAX);
const _: () = assert!(TEXT_HUNKS_MAX <= OPERATION_BYTES_MAX);
