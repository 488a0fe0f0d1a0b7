//! Why an operation was refused. A reason of a newer version cannot be read: it has no other meaning here.

use super::message::{Code, Fault, Fixed, Kind, Message, Nested, Reader, Text, Uint, choice, message};
use syncline_core::refusal::Refusal;

choice! { Refusal {
    1 OperationTooLarge { 1 bytes: one Uint, 2 limit: one Uint },
    2 InvalidOperation { 1 field: one Text, 2 detail: one Text },
    3 InvalidValue { 1 detail: one Text },
    4 ValueTooDeep { 1 limit: one Uint },
    5 UnknownAction {},
    6 UnknownCollection { 1 collection: one Text },
    7 UnknownField { 1 collection: one Text, 2 field: one Text },
    8 KindMismatch { 1 field: one Text, 2 kind: need Code, 3 action: one Text },
    9 ContextAhead { 1 base_seq: one Uint, 2 head_seq: one Uint },
    10 WrongEpoch { 1 epoch: one Fixed, 2 expected_epoch: one Fixed },
    11 InvalidContext { 1 detail: one Text },
    12 ReplicaForked { 1 dot: need Nested },
    13 RequestIdReused { 1 request_id: one Text },
    14 HoldQuota { 1 expected_counter: one Uint },
    15 CausalityCycle { 1 detail: one Text },
    16 Abandoned {},
    17 DependencyRejected { 1 dot: need Nested },
    18 RecordNotFound { 1 record: one Text },
    19 RecordExists { 1 record: one Text },
    20 RecordDeleted { 1 record: one Text },
    21 CollectionMismatch { 1 record: one Text, 2 collection: one Text },
    22 InvalidTextEdit { 1 hunk_index: one Uint, 2 detail: one Text },
    23 PositionOutOfBounds { 1 position: one Uint, 2 delete_count: one Uint, 3 text_length: one Uint },
    24 TextTooLarge { 1 limit_bytes: one Uint },
    25 CounterOutOfRange { 1 field: one Text },
    26 SetTooLarge { 1 field: one Text, 2 limit: one Uint },
    27 ConflictNotFound { 1 conflict: need Nested },
    28 ConflictChanged { 1 conflict: need Nested, 2 revision: one Uint },
    29 ConflictNotLive { 1 conflict: need Nested, 2 status: one Text },
    30 ConflictLive { 1 conflict: need Nested },
    31 Inconsistent { 1 detail: one Text },
} }
