//! How texts are found: the same terms for what is stored and for what is asked, in any script.

mod query;
mod snippet;
mod terms;

pub use self::{
    query::{Last, MAX_QUERY, Phrase, Query},
    snippet::{Piece, snippet},
    terms::{Term, characters, terms},
};
