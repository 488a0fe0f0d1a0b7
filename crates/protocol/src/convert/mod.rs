//! The only conversions between protocol and domain.
//!
//! Inbound messages are taken apart field by field, so that a field added to the protocol breaks the build here.
//! What cannot be taken at all becomes field violations (the call fails); content that no server can accept becomes
//! an operation that settles as rejected, so that one bad operation never blocks those after it.

mod causality;
mod change;
mod conflict;
mod feed;
mod field;
mod filter;
mod history;
mod mutation;
mod operation;
mod receipt;
mod record;
mod schema;
mod value;

pub use causality::{
    context_from_pb, context_to_pb, dot_from_pb, dot_to_pb, timestamp_from_pb, timestamp_to_pb,
};
pub use change::{change_to_pb, filtered_change_to_pb, record_change_to_pb};
pub use conflict::{
    alternatives_to_pb, assignee_from_pb, close_reason_to_pb, conflict_event_to_pb, conflict_filter_from_pb,
    conflict_id_from_pb, conflict_kind_to_pb, conflict_status_to_pb, conflict_to_pb, pairs_to_pb,
};
pub use feed::{
    collections_from_pb, cursor_from_pb, cursor_to_pb, failure_to_pb, feed_cursor_to_pb, selection_to_bytes,
};
pub use field::{
    label_from_pb, name_from_pb, replica_id_from_pb, request_id_from_pb, shown_label_from_pb,
    workspace_id_from_pb,
};
pub use filter::filter_from_pb;
pub use history::{Unreadable, answer_from_pb, place_from_pb, record_change, record_frame, record_operation};
pub use operation::{Nameless, operation_from_pb, operations_from_bytes};
pub use receipt::{outcome_counts_to_pb, receipt_to_pb};
pub use record::record_to_pb;
pub use schema::{
    schema_difference_to_pb, schema_from_pb, schema_to_pb, schema_update_from_pb, schema_update_to_pb,
    workspace_to_pb,
};
pub use value::{value_from_pb, value_to_pb};
