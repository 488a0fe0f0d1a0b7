//! What this server is and can do, for whoever asks and at the beginning of every feed.

use std::sync::LazyLock;

use tonic::{Request, Response, Status};

use crate::grpc::served::server_service_server::ServerService;
use syncline_core::limits;
use syncline_protocol::pb;

/// What this server does beyond the first version of the protocol.
const FEATURES: [pb::Feature; 3] =
    [pb::Feature::Subscriptions, pb::Feature::FeedSnapshot, pb::Feature::AllOrNothing];

/// The limits a client may run into, each with its unit last.
const LIMITS: [(&str, u64); 22] = [
    ("message_bytes", limits::MESSAGE_BYTES_MAX as u64),
    ("operation_bytes", limits::OPERATION_BYTES_MAX as u64),
    ("operations_per_call_count", limits::OPERATIONS_PER_CALL_MAX as u64),
    ("mutations_per_operation_count", limits::MUTATIONS_PER_OPERATION_MAX as u64),
    ("context_extras_count", limits::EXTRAS_MAX as u64),
    ("dependencies_count", limits::DEPENDENCIES_MAX as u64),
    ("id_bytes", limits::ID_BYTES_MAX as u64),
    ("label_bytes", limits::LABEL_BYTES_MAX as u64),
    ("value_depth_count", limits::VALUE_DEPTH_MAX as u64),
    ("text_bytes", limits::TEXT_BYTES_MAX as u64),
    ("text_hunks_count", limits::TEXT_HUNKS_MAX as u64),
    ("elements_per_mutation_count", limits::ELEMENTS_PER_MUTATION_MAX as u64),
    ("set_elements_count", limits::SET_ELEMENTS_MAX),
    ("collections_count", limits::COLLECTIONS_MAX as u64),
    ("fields_per_collection_count", limits::FIELDS_PER_COLLECTION_MAX as u64),
    ("held_per_replica_count", limits::HELD_PER_REPLICA_MAX),
    ("held_per_replica_bytes", limits::HELD_BYTES_PER_REPLICA_MAX),
    ("hold_operation_ms", limits::HOLD_OPERATION_MS as u64),
    ("hold_record_ms", limits::HOLD_RECORD_MS as u64),
    ("request_id_ms", limits::REQUEST_ID_MS as u64),
    ("feed_collections_count", limits::FEED_COLLECTIONS_MAX as u64),
    ("feeds_per_stream_count", limits::FEEDS_PER_STREAM_MAX as u64),
];

static SERVER_INFO: LazyLock<pb::ServerInfo> = LazyLock::new(|| pb::ServerInfo {
    version: env!("CARGO_PKG_VERSION").to_owned(),
    features: FEATURES.map(i32::from).to_vec(),
    limits: LIMITS.iter().map(|&(name, value)| pb::Limit { name: name.to_owned(), value }).collect(),
});

/// What this server is and can do.
pub(super) fn server_info() -> &'static pb::ServerInfo {
    &SERVER_INFO
}

/// ServerService: it needs no workspace, and no engine.
#[derive(Debug, Default)]
pub struct ServerInformation;

#[tonic::async_trait]
impl ServerService for ServerInformation {
    async fn get_server_info(
        &self,
        request: Request<pb::GetServerInfoRequest>,
    ) -> Result<Response<pb::GetServerInfoResponse>, Status> {
        let pb::GetServerInfoRequest {} = request.into_inner();
        Ok(Response::new(pb::GetServerInfoResponse { server: Some(server_info().clone()) }))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost::Message as _;

    use super::*;

    #[test]
    fn every_limit_has_a_name_of_its_own_that_ends_in_its_unit() {
        let names: BTreeSet<&str> = LIMITS.iter().map(|(name, _)| *name).collect();
        assert_eq!(names.len(), LIMITS.len());
        for (name, value) in LIMITS {
            let unit = name.rsplit('_').next().expect("a unit");
            assert!(["bytes", "count", "ms"].contains(&unit), "{name}");
            assert!(value > 0, "{name}");
        }
    }

    /// Every feed begins with it, and a stream keeps room for its largest frame as long as it is open.
    #[test]
    fn what_every_feed_begins_with_is_small() {
        assert!(server_info().encoded_len() < 900, "{} bytes", server_info().encoded_len());
    }
}
