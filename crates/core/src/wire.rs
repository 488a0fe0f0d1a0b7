//! Writing tagged fields: the bytes of a protobuf message, always the shortest ones.
//!
//! Two things are written this way: the bytes from which an operation's hash is computed ([`super::canonical`]), and
//! the rows and changes of a store. Both name every field by a number, so a field that is added later changes nothing
//! of what was written before. Everything is appended to one buffer; a nested message needs no second one.

/// How a field's content is laid out; the low three bits of its tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Layout {
    /// A number in groups of seven bits, the lowest first.
    Varint = 0,
    /// Eight bytes, the lowest first.
    Fixed64 = 1,
    /// A length as a varint, and as many bytes.
    Bytes = 2,
    /// Four bytes, the lowest first. Nothing is written in this layout; it is only recognised.
    Fixed32 = 5,
}

/// Appends a number in groups of seven bits.
pub fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

/// Appends a field's number and layout.
pub fn put_tag(out: &mut Vec<u8>, field: u32, layout: Layout) {
    put_varint(out, u64::from(field) << 3 | layout as u64);
}

/// Appends an unsigned number.
pub fn put_uint(out: &mut Vec<u8>, field: u32, number: u64) {
    put_tag(out, field, Layout::Varint);
    put_varint(out, number);
}

/// Appends a signed number so that small ones are short whatever their sign: 0, -1, 1, -2, … are 0, 1, 2, 3, …
pub fn put_sint(out: &mut Vec<u8>, field: u32, number: i64) {
    put_uint(out, field, zigzag(number));
}

/// Appends eight bytes.
pub fn put_fixed64(out: &mut Vec<u8>, field: u32, number: u64) {
    put_tag(out, field, Layout::Fixed64);
    out.extend_from_slice(&number.to_le_bytes());
}

/// Appends bytes, or a text as UTF-8.
pub fn put_bytes(out: &mut Vec<u8>, field: u32, bytes: &[u8]) {
    put_tag(out, field, Layout::Bytes);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends a message that `content` writes.
pub fn put_message(out: &mut Vec<u8>, field: u32, content: impl FnOnce(&mut Vec<u8>)) {
    put_tag(out, field, Layout::Bytes);
    // Nearly every message is shorter than 128 bytes, so its length has one byte. A longer one is moved.
    let at = out.len();
    out.push(0);
    content(out);
    let length = out.len() - at - 1;
    if let (Ok(short @ 0..=0x7f), Some(place)) = (u8::try_from(length), out.get_mut(at)) {
        *place = short;
        return;
    }
    let more = varint_length(length as u64) - 1;
    out.resize(out.len() + more, 0);
    out.copy_within(at + 1..at + 1 + length, at + 1 + more);
    let mut rest = length;
    for place in out.iter_mut().skip(at).take(more + 1) {
        let last = rest <= 0x7f;
        *place = rest.to_le_bytes()[0] & 0x7f | if last { 0 } else { 0x80 };
        rest >>= 7;
    }
}

/// How many bytes [`put_varint`] appends.
fn varint_length(number: u64) -> usize {
    let bits = (u64::BITS - number.leading_zeros()).max(1);
    bits.div_ceil(7) as usize
}

fn zigzag(number: i64) -> u64 {
    (number << 1 ^ number >> 63).cast_unsigned()
}

/// The number that [`put_sint`] wrote as `raw`.
pub fn unzigzag(raw: u64) -> i64 {
    (raw >> 1).cast_signed() ^ -(raw & 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ours(put: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out);
        out
    }

    /// The examples of the protobuf documentation, and the extremes of each kind of number. Whole operations are
    /// compared with a protobuf library where they are converted.
    #[test]
    fn fields_are_written_as_protobuf_writes_them() {
        assert_eq!(ours(|out| put_uint(out, 1, 150)), [0x08, 0x96, 0x01]);
        assert_eq!(ours(|out| put_bytes(out, 2, b"testing")), b"\x12\x07testing");
        assert_eq!(
            ours(|out| put_message(out, 3, |out| put_uint(out, 1, 150))),
            [0x1a, 0x03, 0x08, 0x96, 0x01]
        );
        assert_eq!(ours(|out| put_fixed64(out, 1, 1)), [0x09, 1, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(ours(|out| put_uint(out, 16, 0)), [0x80, 0x01, 0x00]);
        assert_eq!(ours(|out| put_tag(out, 536_870_911, Layout::Fixed32)), [0xfd, 0xff, 0xff, 0xff, 0x0f]);
        let longest = [&[0x08_u8][..], &[0xff; 9], &[0x01]].concat();
        assert_eq!(ours(|out| put_uint(out, 1, u64::MAX)), longest);
        assert_eq!(ours(|out| put_sint(out, 1, i64::MIN)), longest);
        for (number, raw) in [(0, 0), (-1, 1), (1, 2), (-2, 3), (i64::MAX, u64::MAX - 1)] {
            assert_eq!((zigzag(number), unzigzag(raw)), (raw, number));
        }
    }

    proptest! {
        #[test]
        fn signs_come_back_as_they_went(number in any::<i64>()) {
            prop_assert_eq!(unzigzag(zigzag(number)), number);
        }

        #[test]
        fn a_message_is_its_length_and_its_content(
            length in prop_oneof![0..300_usize, 16_000..17_000_usize, Just(2_100_000)],
        ) {
            let content = vec![7_u8; length];
            let written = ours(|out| {
                out.push(1);
                put_message(out, 3, |out| out.extend_from_slice(&content));
                out.push(2);
            });
            let expected = ours(|out| {
                out.push(1);
                put_bytes(out, 3, &content);
                out.push(2);
            });
            prop_assert!(written == expected, "{} bytes", length);
        }
    }
}
