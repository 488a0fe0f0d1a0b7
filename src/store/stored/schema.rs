//! The schema of a workspace: rewritten by every change of it, so all of it keeps what a newer version wrote.

use super::message::{
    Code, Coded, Fault, Kind, Message, Nested, Reader, Text, Uint, codes, get_entry, message, put_map,
};
use syncline_core::schema::{Collection, Field, FieldKind, OnClash, OnDominate, Provisional, Schema};

message! { Schema, keeps unknown {
    1 strict: one Uint,
    2 version: one Uint,
    3 collections: map Text to Nested,
} }

message! { Collection, keeps unknown {
    1 fields: map Text to Nested,
} }

message! { Field, keeps unknown {
    1 kind: need Code,
    2 provisional: need Code,
    3 on_clash: need Code,
    4 on_dominate: need Code,
} }

codes! { FieldKind { 1 Register, 2 Text, 3 Counter, 4 Set, 5 ToOne, 6 ToMany } }

codes! { Provisional { 1 Incumbent, 2 Latest, 3 Min, 4 Max } }

codes! { OnClash { 1 Open, 2 Settle } }

codes! { OnDominate { 1 Keep, 2 Supersede } }
