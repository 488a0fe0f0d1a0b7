//! The reason of a failed call, as its caller reads it.

use std::collections::HashMap;

use tonic::Status;
use tonic_types::StatusExt as _;

use super::{ERROR_DOMAIN, Reason};

/// The `ErrorInfo` of a failed call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The reason's name, which may be newer than this program.
    pub name: String,
    /// The variable parts, as documented on the reason.
    pub metadata: HashMap<String, String>,
}

impl Told {
    /// The reason, unless it is newer than this program.
    pub fn reason(&self) -> Option<Reason> {
        Reason::from_str_name(&format!("ERROR_REASON_{}", self.name))
    }
}

/// The reason that a failed call gives; none if it does not come from a Syncline server but, for example, from the
/// transport or a proxy.
pub fn told(status: &Status) -> Option<Told> {
    let info = status.get_details_error_info().filter(|info| info.domain == ERROR_DOMAIN)?;
    Some(Told { name: info.reason, metadata: info.metadata })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Failure;

    #[test]
    fn what_a_server_says_is_what_its_caller_reads() {
        let told = told(&Status::from(Failure::schema_changed(4))).expect("an ErrorInfo");
        assert_eq!((told.reason(), told.name.as_str()), (Some(Reason::SchemaChanged), "SCHEMA_CHANGED"));
        assert_eq!(told.metadata["schema_version"], "4");
    }

    #[test]
    fn other_failures_tell_nothing_and_newer_reasons_only_their_name() {
        assert_eq!(super::told(&Status::unavailable("a proxy")), None);
        let newer = Told { name: "FROM_THE_FUTURE".to_owned(), metadata: HashMap::new() };
        assert_eq!(newer.reason(), None);
    }
}
