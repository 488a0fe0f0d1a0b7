//! Merging of concurrent text edits.
//!
//! At rest a text field is plain text. An operation carries positional [`Hunk`]s in its *author's view*:
//! the text that author saw, which may lack operations the server has settled since. When an author knew
//! every text operation of the field, and none of its hunks is suppressed beyond its base, its view is the
//! trunk and [`apply_hunks`] is all there is to do. Otherwise a [`Window`] rebuilds the order of all
//! characters, deleted ones included, from the [critical base](critical_base()) on.
//!
//! # Rules
//!
//! * **Order.** Characters form a tree (Fugue): an insertion hangs off its left neighbour in the author's
//!   view, or off the next character its author knew if that one descends from the left neighbour; siblings
//!   stand in settling order. Runs typed concurrently at one place are therefore not interleaved.
//! * **Clashes.** A hunk clashes with operations its author did not know when (c1) it deletes what an
//!   unsuppressed hunk of theirs deleted, unless both only delete; (c2) it deletes around an insertion of
//!   theirs, even one deleted since; (c3) it only inserts, strictly inside what one hunk of theirs deleted;
//!   (c4) its author edits text of theirs that is suppressed, or types where an earlier hunk of theirs, which is
//!   suppressed, deleted text.
//! * **Suppression.** The settled hunk stays and the newcomer's is *suppressed*: kept, absent from the trunk,
//!   and visible to an author exactly as long as the operation that suppressed it is beyond the author's
//!   base. A flag would not do: an author's screen can show a suppression only once it was received.
//!
//! # Promises, each with a test
//!
//! 1. The view the server rebuilds is what the author saw.
//! 2. Everybody who received the same prefix has the same text.
//! 3. A partner of a clash is never in the author's base. Beyond it an author can know the partner only when
//!    extras are at play: suppressed text stays visible until its suppressor is in the base, even if that is
//!    known as an extra or its own, and building on such text (c4) is a clash with that suppressor.
//! 4. No character is lost: it is in the trunk, suppressed, or deleted by an operation that knew it.
//! 5. Replaying from the critical base decides exactly as replaying the whole history.
//! 6. Whether two concurrent operations clash does not depend on which settles first.
//!
//! Positions and lengths count Unicode scalars. All functions are pure and deterministic.

mod anchor;
mod clash;
mod critical_base;
mod diff;
mod error;
mod follow;
mod hunk;
mod region;
mod run;
mod shortest;
mod sight;
mod splice;
mod tree;
mod window;
mod words;

pub use clash::Clash;
pub use critical_base::{CriticalBase, critical_base};
pub use diff::{DIFF_WORK_LIMIT, diff};
pub use error::TextError;
pub use follow::{Edge, Followed, follow};
pub use hunk::{Hunk, SettledHunk, TextOp, apply_hunks, validate_hunks};
pub use splice::{Splice, apply_splices, slice_chars, undo_splices};
pub use window::{Integrated, Window};
pub use words::{first_word_chars, is_word_boundary, last_word_chars};

#[cfg(test)]
mod tests;
