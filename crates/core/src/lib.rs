//! The domain of Syncline: identities, causality, values, merging, conflicts and the sequencer that settles operations.
//! It is pure and synchronous: it uses no tokio, tonic, prost, sqlx, clock or randomness.

pub mod canonical;
pub mod causality;
pub mod change;
pub mod conflict;
pub mod filter;
pub mod hash;
pub mod history;
pub mod ids;
pub mod limits;
pub mod merge;
mod newtype;
pub mod operation;
pub mod refusal;
pub mod resume;
pub mod schema;
pub mod seeded_faults;
pub mod selection;
pub mod sequencer;
pub mod state;
pub mod unknown;
pub mod value;
pub mod view;
pub mod wire;
