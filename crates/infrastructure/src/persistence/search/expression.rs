//! Terms as the two databases read them.
//!
//! Each is stored with whose it is and what it stands in before it, so that one user's search never
//! reads what others said. Terms hold no character that means something to either database.

use repartee_domain::{
    ConversationId, UserId,
    search::{Last, Phrase, Query, characters, terms},
};
use sea_orm::DbBackend;
use uuid::Uuid;

#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Message,
    Title,
}

/// What stands before a term. Two owners may share one: it narrows the index down, and whose a row
/// is says the row.
fn scope(owner: UserId, kind: Kind) -> String {
    let kind = match kind {
        Kind::Message => 'm',
        Kind::Title => 't',
    };
    format!("{}{kind}", short(owner))
}

/// The last bits of a version 7 are random.
fn short(owner: UserId) -> String {
    format!("{:08x}", last_bits(owner.as_uuid()) & 0xffff_ffff)
}

/// A term of everything in a conversation.
fn within(owner: UserId, conversation: ConversationId) -> String {
    format!("{}c{:016x}", short(owner), last_bits(conversation.as_uuid()))
}

fn last_bits(id: Uuid) -> u64 {
    id.as_u64_pair().1
}

/// `None` where the text has no terms.
pub(super) fn document(
    backend: DbBackend,
    owner: UserId,
    kind: Kind,
    conversation: ConversationId,
    text: &str,
) -> Option<String> {
    let terms = terms(text);
    if terms.is_empty() {
        return None;
    }
    let scope = scope(owner, kind);
    let within = within(owner, conversation);
    let characters = characters(&terms).into_iter().map(|c| match backend {
        DbBackend::Sqlite => format!("{scope}{c}"),
        _ => format!("'{scope}{c}'"),
    });
    let terms = (1..).zip(&terms).map(|(place, term)| match backend {
        DbBackend::Sqlite => format!("{scope}{}", term.text),
        _ => format!("'{scope}{}':{place}", term.text),
    });
    Some(std::iter::once(within).chain(terms).chain(characters).collect::<Vec<_>>().join(" "))
}

/// What is looked for, in one kind of documents.
pub(super) struct Wanted<'a> {
    pub(super) owner: UserId,
    pub(super) kind: Kind,
    pub(super) conversation: Option<ConversationId>,
    pub(super) query: &'a Query,
}

impl Wanted<'_> {
    /// For `MATCH`.
    pub(super) fn fts5(&self) -> String {
        let scope = scope(self.owner, self.kind);
        let phrase = |phrase: &Phrase| {
            let terms = phrase.terms().iter().map(|term| format!("{scope}{term}"));
            let terms = terms.collect::<Vec<_>>().join(" ");
            format!("\"{terms}\"{}", if phrase.last() == Last::Beginning { " *" } else { "" })
        };
        self.all(phrase, " AND ")
    }

    /// A `tsquery` of the terms, wherever they stand: an index of PostgreSQL tells that by itself.
    pub(super) fn terms(&self) -> String {
        self.tsquery(" & ")
    }

    /// A `tsquery` of the phrases.
    pub(super) fn phrases(&self) -> String {
        self.tsquery(" <-> ")
    }

    fn tsquery(&self, then: &str) -> String {
        let scope = scope(self.owner, self.kind);
        let phrase = |phrase: &Phrase| {
            let terms = phrase.terms().iter().map(|term| format!("'{scope}{term}'"));
            let terms = terms.collect::<Vec<_>>().join(then);
            format!("({terms}{})", if phrase.last() == Last::Beginning { ":*" } else { "" })
        };
        self.all(phrase, " & ")
    }

    fn all(&self, phrase: impl Fn(&Phrase) -> String, and: &str) -> String {
        let within = self.conversation.map(|conversation| within(self.owner, conversation));
        let phrases = self.query.phrases().iter().map(phrase);
        within.into_iter().chain(phrases).collect::<Vec<_>>().join(and)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: UserId = UserId::from_uuid(Uuid::from_u128(0xabc));
    const CONVERSATION: ConversationId = ConversationId::from_uuid(Uuid::from_u128(0xd));

    #[test]
    fn every_term_says_whose_it_is() {
        let text = |backend| document(backend, OWNER, Kind::Message, CONVERSATION, "O'Neill 東京");

        assert_eq!(
            text(DbBackend::Sqlite).unwrap(),
            "00000abcc000000000000000d 00000abcmo 00000abcmneill 00000abcm東京 00000abcm京 00000abcm京 \
             00000abcm東"
        );
        assert_eq!(
            text(DbBackend::Postgres).unwrap(),
            "00000abcc000000000000000d '00000abcmo':1 '00000abcmneill':2 \
             '00000abcm東京':3 '00000abcm京':4 '00000abcm京' '00000abcm東'"
        );
        assert_eq!(document(DbBackend::Sqlite, OWNER, Kind::Title, CONVERSATION, "?!"), None);
    }

    #[test]
    fn phrases_are_kept_together() {
        let query = Query::parse("\"green tea\" cup".into()).unwrap();
        let wanted =
            |conversation| Wanted { owner: OWNER, kind: Kind::Title, conversation, query: &query };

        assert_eq!(wanted(None).fts5(), "\"00000abctgreen 00000abcttea\" AND \"00000abctcup\" *");
        assert_eq!(
            wanted(Some(CONVERSATION)).terms(),
            "00000abcc000000000000000d & ('00000abctgreen' & '00000abcttea') & ('00000abctcup':*)"
        );
        assert_eq!(
            wanted(None).phrases(),
            "('00000abctgreen' <-> '00000abcttea') & ('00000abctcup':*)"
        );
    }
}
