//! Bytes that are not what they should be: an error, never a panic and never another meaning.

use proptest::collection::vec;
use proptest::prelude::*;

use super::samples;
use crate::store::StoreError;
use crate::store::stored::{
    FORMAT, decode_change, decode_connection, decode_row, encode_change, encode_row, kind,
};
use syncline_core::state::Row;
use syncline_core::wire::{put_bytes, put_message, put_uint};

fn refused<T>(read: Result<T, StoreError>) -> String {
    match read {
        Err(StoreError::Inconsistent(why)) => why,
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("it was read"),
    }
}

#[test]
fn another_format_is_refused_with_what_to_do() {
    let row = encode_row(&Row::Unit);
    let of_format = |format: u8| [&[format], &row[1..]].concat();
    assert!(refused(decode_row(&of_format(1))).contains("start with an empty database"));
    assert!(refused(decode_row(&of_format(FORMAT + 1))).contains("update this server"));
    assert!(refused(decode_row(&[])).contains("empty"));
    assert!(refused(decode_row(&[FORMAT])).contains("no kind"));
    assert!(refused(decode_row(&[FORMAT, 250])).contains("update this server"));
    assert!(refused(decode_change(&of_format(1))).contains("start with an empty database"));
}

#[test]
fn every_row_and_change_that_is_cut_within_a_field_is_refused_or_lacks_whole_fields() {
    for (name, row) in samples::rows() {
        let bytes = encode_row(&row);
        for length in 0..bytes.len() {
            if let Ok(shorter) = decode_row(&bytes[..length]) {
                // Cut between two fields: then the rest is absent.
                assert_ne!(shorter, row, "{name} at {length}");
            }
        }
    }
    let change = encode_change(&samples::change());
    (0..change.len()).for_each(|length| assert!(decode_change(&change[..length]).is_err(), "at {length}"));
}

#[test]
fn a_code_or_a_choice_of_a_newer_version_has_no_other_meaning() {
    // A field of kind 7, a record of existence 4, a value of kind 13.
    let mut field = vec![FORMAT, kind::FIELD];
    put_uint(&mut field, 1, 7);
    assert!(refused(decode_row(&field)).contains("7 is no FieldKind"));
    let mut record = vec![FORMAT, kind::RECORD];
    put_message(&mut record, 2, |out| put_message(out, 4, |_| {}));
    assert!(refused(decode_row(&record)).contains("4 is no Existence"));
    let mut element = vec![FORMAT, kind::ELEMENT];
    put_message(&mut element, 1, |out| put_bytes(out, 13, b"new"));
    assert!(refused(decode_row(&element)).contains("13 is no kind of value"));
}

#[test]
fn a_held_operation_that_says_more_is_not_settled_by_this_version() {
    let (_, row) =
        samples::rows().into_iter().find(|(name, _)| name == "held_by_operation").expect("a sample");
    let Row::Held(held) = &row else { panic!("a held operation") };
    let mut bytes = vec![FORMAT, kind::HELD];
    put_message(&mut bytes, 1, |out| {
        crate::store::stored::Message::put(&held.operation, out);
        put_bytes(out, 99, b"only if the card is still mine");
    });
    assert!(refused(decode_row(&bytes)).contains("field 99 of Operation is unknown"));
}

#[test]
fn messages_within_messages_end_somewhere() {
    let mut value = Vec::new();
    for _ in 0..20_000 {
        let inner = std::mem::take(&mut value);
        put_message(&mut value, 1, |out| put_bytes(out, 7, &inner));
        if value.len() > 400_000 {
            break;
        }
    }
    let element = [&[FORMAT, kind::ELEMENT], value.as_slice()].concat();
    assert!(refused(decode_row(&element)).contains("nests"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn random_bytes_are_refused_or_read_without_panic(mut bytes in vec(any::<u8>(), 0..400), of in 0..20_u8) {
        if let [first, second, ..] = bytes.as_mut_slice() {
            (*first, *second) = (FORMAT, of);
        }
        for error in [decode_row(&bytes).err(), decode_change(&bytes).err(), decode_connection(&bytes).err()]
            .into_iter()
            .flatten()
        {
            prop_assert!(matches!(error, StoreError::Inconsistent(_)));
        }
    }

    #[test]
    fn a_row_with_a_wrong_byte_is_refused_or_read_without_panic(
        which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let rows = samples::rows();
        let mut bytes = encode_row(&which.get(&rows).1);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Err(error) = decode_row(&bytes) {
            prop_assert!(matches!(error, StoreError::Inconsistent(_)));
        }
    }
}
