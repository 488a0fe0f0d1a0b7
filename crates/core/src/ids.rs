//! Identifiers and their grammars.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::causality::{Counter, Seq};
use super::limits::{ID_BYTES_MAX, LABEL_BYTES_MAX};
use super::newtype::shown_as_wrapped;

/// A replica: one installation of a client. The nil UUID is the server itself.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicaId(pub Uuid);
/// The server's short number for a workspace.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkspaceNo(pub i64);
/// Random number of a workspace's history; changes when it may have been rewound.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

shown_as_wrapped!(ReplicaId, WorkspaceNo, Epoch);

impl ReplicaId {
    /// The server itself, which writes for callers that have no replica of their own.
    pub const SERVER: ReplicaId = ReplicaId(Uuid::nil());

    /// The id whose 128 bits are this number.
    pub const fn from_u128(number: u128) -> ReplicaId {
        ReplicaId(Uuid::from_u128(number))
    }

    /// Whether it is the server itself.
    pub fn is_server(self) -> bool {
        self == ReplicaId::SERVER
    }
}

/// In any spelling of a UUID; [`parse_replica_id`] takes the canonical one only.
impl FromStr for ReplicaId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<ReplicaId, Self::Err> {
        Uuid::try_parse(text).map(ReplicaId)
    }
}

impl Epoch {
    /// Stands for no epoch: no workspace has it.
    pub const NONE: Epoch = Epoch(0);
}

/// Declares identifiers that are text, each with a type of its own, so that one is never taken for another.
macro_rules! text_ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Its text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Its text, shared.
            pub fn into_text(self) -> Arc<str> {
                self.0
            }
        }

        impl Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> $name {
                $name(text.into())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> $name {
                $name(text.into())
            }
        }

        impl From<Arc<str>> for $name {
            fn from(text: Arc<str>) -> $name {
                $name(text)
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, text: &str) -> bool {
                &*self.0 == text
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, text: &&str) -> bool {
                &*self.0 == *text
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    )*};
}

text_ids! {
    /// A collection of records: 1 to 64 of `[A-Za-z0-9_-]`.
    CollectionId;
    /// A record, unique within its workspace: 1 to 64 of `[A-Za-z0-9_-]`.
    RecordId;
    /// A field of a collection's records: 1 to 64 of `[A-Za-z0-9_-]`.
    FieldId;
}

/// An operation's identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dot {
    /// The replica that made it.
    pub replica: ReplicaId,
    /// Its number among the operations of that replica, from 1.
    pub counter: Counter,
}

impl fmt::Display for Dot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.replica, self.counter)
    }
}

/// A conflict: the position of the operation that opened it, and a number among those it opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConflictId {
    /// Position of the operation that opened it.
    pub opened_seq: Seq,
    /// Its number among the conflicts that this operation opened, from 0.
    pub index: u16,
}

impl fmt::Display for ConflictId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c{}-{}", self.opened_seq, self.index)
    }
}

impl FromStr for ConflictId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (seq, index) = text.strip_prefix('c').and_then(|t| t.split_once('-')).ok_or(())?;
        let id =
            ConflictId { opened_seq: seq.parse().map_err(|_| ())?, index: index.parse().map_err(|_| ())? };
        // One spelling per id: "+1" and "01" parse as numbers but are not ids.
        (id.to_string() == text).then_some(id).ok_or(())
    }
}

/// Whether `id` is 1 to 64 of `[A-Za-z0-9_-]`: collections, records, fields.
pub fn is_name(id: &str) -> bool {
    has_length(id) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// Whether `id` is 1 to 64 of `[a-z0-9-]` and starts with a letter or digit: workspaces.
pub fn is_workspace_id(id: &str) -> bool {
    has_length(id)
        && !id.starts_with('-')
        && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Whether `id` is 1 to 64 of `[A-Za-z0-9._:-]`: request ids.
pub fn is_request_id(id: &str) -> bool {
    has_length(id) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:-".contains(&b))
}

/// Whether `label` is short enough and free of control characters.
pub fn is_label(label: &str) -> bool {
    label.len() <= LABEL_BYTES_MAX && !label.chars().any(char::is_control)
}

/// A label that is only shown, as it is kept: control characters are spaces, and what is beyond the limit is cut between
/// characters.
pub fn shown_label(label: &str) -> Cow<'_, str> {
    if is_label(label) {
        return Cow::Borrowed(label);
    }
    let end = (0..=LABEL_BYTES_MAX).rev().find(|end| label.is_char_boundary(*end)).unwrap_or(0);
    let kept = label.get(..end).unwrap_or(label);
    Cow::Owned(kept.chars().map(|c| if c.is_control() { ' ' } else { c }).collect())
}

/// A replica id from its canonical text form; the nil UUID is the server's own.
pub fn parse_replica_id(text: &str) -> Option<ReplicaId> {
    let id = Uuid::try_parse(text).ok()?;
    (!id.is_nil() && id.hyphenated().to_string() == text).then_some(ReplicaId(id))
}

fn has_length(id: &str) -> bool {
    (1..=ID_BYTES_MAX).contains(&id.len())
}
