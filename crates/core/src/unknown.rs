//! What a newer version of the server knows and this one does not.

/// Fields of a stored message that this version has no name for, as they were read. Whoever rewrites a row takes
/// them along, so that a server that is one version behind does not take away what a newer one wrote. Nearly always
/// there are none, which costs one pointer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unknown(Option<Box<Box<[u8]>>>);

impl Unknown {
    /// No such fields.
    pub const NONE: Unknown = Unknown(None);

    /// The fields as they were read, one after the other.
    pub fn new(fields: &[u8]) -> Unknown {
        if fields.is_empty() { Unknown::NONE } else { Unknown(Some(Box::new(fields.into()))) }
    }

    /// The fields, to be written again.
    pub fn fields(&self) -> &[u8] {
        self.0.as_deref().map_or(&[], |fields| fields)
    }
}

const _: () = assert!(size_of::<Unknown>() == size_of::<usize>());
