//! What somebody looks for, as they typed it.

use super::terms::{Place, Term, terms};
use crate::{FieldError, Text};

/// Characters of what is looked for.
pub const MAX_QUERY: usize = 200;
/// Fewer letters begin too much.
const MIN_PREFIX: usize = 3;

/// All of it has to be there, in any order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query(Vec<Phrase>);

/// Terms that stand one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phrase {
    terms: Vec<String>,
    last: Last,
}

/// What the last term of a phrase is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Last {
    Whole,
    /// The beginning of one.
    Beginning,
    /// The only one: a character where words are not separated.
    Character,
}

impl Query {
    /// Words, and phrases in quotation marks. Nothing else has a meaning of its own: any text is
    /// good, and one without letters or digits finds nothing.
    ///
    /// # Errors
    /// Of the field `q`, where there is nothing, or too much.
    pub fn parse(text: String) -> Result<Self, FieldError> {
        let text = Text::parse(text, MAX_QUERY).map_err(|error| error.in_field("q"))?;
        let mut phrases = Vec::new();
        let mut parts = text.as_str().split('"').enumerate().peekable();
        while let Some((number, part)) = parts.next() {
            let terms = terms(part);
            let is_last = parts.peek().is_none();
            if number % 2 == 1 {
                phrases.extend(Phrase::of(&terms, is_last));
            } else {
                let mut words = terms.chunk_by(|_, next| next.place == Place::Continues).peekable();
                while let Some(word) = words.next() {
                    phrases.extend(Phrase::of(word, is_last && words.peek().is_none()));
                }
            }
        }
        let mut query = Self(Vec::with_capacity(phrases.len()));
        for phrase in phrases {
            if !query.0.contains(&phrase) {
                query.0.push(phrase);
            }
        }
        Ok(query)
    }

    /// None where nothing can be found.
    pub fn phrases(&self) -> &[Phrase] {
        &self.0
    }
}

impl Phrase {
    /// Where it may go on, somebody may still be typing it.
    fn of(terms: &[Term], may_go_on: bool) -> Option<Self> {
        let (last, before) = terms.split_last()?;
        let (terms, last) = match last.place {
            // The term before it has its character.
            Place::Continues => (before, Last::Whole),
            Place::Begins if before.is_empty() => (terms, Last::Character),
            Place::Begins => (terms, Last::Beginning),
            Place::Word if may_go_on && last.text.chars().nth(MIN_PREFIX - 1).is_some() => {
                (terms, Last::Beginning)
            }
            Place::Word => (terms, Last::Whole),
        };
        Some(Self { terms: terms.iter().map(|term| term.text.clone()).collect(), last })
    }

    pub fn terms(&self) -> &[String] {
        &self.terms
    }

    pub fn last(&self) -> Last {
        self.last
    }

    /// Where it ends, in bytes, if these terms of a text begin with it.
    pub(super) fn end_in(&self, terms: &[Term]) -> Option<usize> {
        let (last, before) = self.terms.split_last()?;
        let (found, found_before) = terms.get(..self.terms.len())?.split_last()?;
        let end = match self.last {
            Last::Whole => (found.text == *last).then_some(found.end),
            Last::Beginning | Last::Character => {
                found.text.starts_with(last.as_str()).then_some(found.at.end)
            }
        };
        end.filter(|_| before.iter().zip(found_before).all(|(term, found)| *term == found.text))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Each phrase's terms, with a star after a beginning and a dot after a character.
    fn phrases(text: &str) -> Vec<String> {
        let query = Query::parse(text.into()).unwrap();
        let texts = query.phrases().iter().map(|phrase| {
            let last = match phrase.last {
                Last::Whole => "",
                Last::Beginning => "*",
                Last::Character => ".",
            };
            phrase.terms.join("+") + last
        });
        texts.collect()
    }

    #[test]
    fn words_may_come_in_any_order_and_the_last_one_may_go_on() {
        assert_eq!(phrases("Green te"), ["green", "te"]);
        assert_eq!(phrases("plan b"), ["plan", "b"]);
        assert_eq!(phrases("tea tea TEA cup"), ["tea", "cup*"]);
    }

    #[test]
    fn quotation_marks_make_a_phrase() {
        assert_eq!(phrases("\"green tea\" cup"), ["green+tea", "cup*"]);
        assert_eq!(phrases("cup \"green tea\""), ["cup", "green+tea"]);
        assert_eq!(phrases("\"green tea"), ["green+tea*"]);
        assert_eq!(phrases("\"東京都 tower\""), ["東京+京都+都+tower"]);
        assert_eq!(phrases("\"tower 東\""), ["tower+東*"]);
    }

    #[test]
    fn where_words_are_not_separated_a_run_is_a_phrase() {
        assert_eq!(phrases("東京都"), ["東京+京都"]);
        assert_eq!(phrases("都"), ["都."]);
        assert_eq!(phrases("iPhone買う"), ["iphone", "買う"]);
        assert_eq!(phrases("🎉"), ["🎉."]);
    }

    #[test]
    fn operators_are_text() {
        assert_eq!(
            phrases("a OR NOT (b* NEAR \"\" c):*&|!<->"),
            ["a", "or", "not", "b", "near", "c"]
        );
        assert_eq!(phrases("?! -- '\\"), [""; 0]);
    }

    #[test]
    fn nothing_and_too_much_are_refused() {
        for (text, code) in [
            (String::new(), "required"),
            (" \t".into(), "required"),
            ("a\0".into(), "invalid"),
            ("ก".repeat(201), "too_long"),
        ] {
            let refused = Query::parse(text).unwrap_err();
            assert_eq!((refused.field, refused.code), ("q", code));
        }
        assert!(Query::parse("ก".repeat(200)).is_ok());
    }

    proptest! {
        #[test]
        fn any_part_is_found_where_words_are_not_separated(
            text in "[東京ガกที่ไม👍🏽학]{1,30}", from in 0..30_usize, length in 1..10_usize,
        ) {
            let part: String = text.chars().skip(from).take(length).collect();
            let Ok(query) = Query::parse(part) else { return Ok(()) };
            let text = terms(&text);
            for phrase in query.phrases() {
                let found = (0..text.len()).any(|at| phrase.end_in(&text[at..]).is_some());
                prop_assert!(found, "{:?} in {:?}", phrase, text);
            }
        }
    }
}
