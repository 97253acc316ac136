//! What a text is found by.
//!
//! A word is a term. Where a script doesn't separate words, each character makes a term with the
//! next one, so that any part of the text is found as a phrase, and each is a term of its own
//! besides. Case, accents and compatibility forms (NFKC) make no difference.

use std::{collections::BTreeSet, ops::Range};

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// Of one text. PostgreSQL tells 16,383 places apart; one is left for the adapter.
const MAX_TERMS: usize = 16_000;
/// Of all terms of a text: with what the adapter adds they fit into the megabyte of a `tsvector`.
const MAX_BYTES: usize = 400 * 1024;
/// Bytes. What is longer is found by its beginning.
const MAX_TERM: usize = 96;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// Letters, digits, marks and emoji, folded; never empty.
    pub text: String,
    /// Where it begins in the text, in bytes; and where its word ends, or its first character.
    pub at: Range<usize>,
    /// Where the second character ends as well.
    pub end: usize,
    pub(super) place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Word,
    /// The first character of a run that has no spaces.
    Begins,
    /// A further one.
    Continues,
}

/// In the order of the text. The end of a very long one is left out.
pub fn terms(text: &str) -> Vec<Term> {
    let mut reading = Reading::default();
    for range in clusters(text) {
        match &text.as_bytes()[range.clone()] {
            [byte] => reading.read(char::from(byte.to_ascii_lowercase()), &range),
            _ => fold(&text[range.clone()]).for_each(|c| reading.read(c, &range)),
        }
        if reading.terms.len() > MAX_TERMS || reading.bytes > MAX_BYTES {
            reading.terms.pop();
            break;
        }
    }
    reading.terms
}

/// The characters that make terms with the next ones: by these a single one is found.
pub fn characters(terms: &[Term]) -> BTreeSet<char> {
    let unspaced = terms.iter().filter(|term| term.place != Place::Word);
    unspaced.filter_map(|term| term.text.chars().next()).collect()
}

#[derive(Default)]
struct Reading {
    terms: Vec<Term>,
    bytes: usize,
    /// Where the last character stands.
    open: Option<Place>,
}

impl Reading {
    fn read(&mut self, c: char, range: &Range<usize>) {
        let place = match (place(c), self.open) {
            (Some(Place::Begins), Some(Place::Begins | Place::Continues)) => Some(Place::Continues),
            (place, _) => place,
        };
        match (place, self.open) {
            (None, _) => {}
            (Some(Place::Word), Some(Place::Word)) => self.go_on(c, range),
            (Some(Place::Continues), _) => {
                self.go_on(c, range);
                self.begin(c, range, Place::Continues);
            }
            (Some(place), _) => self.begin(c, range, place),
        }
        self.open = place;
    }

    fn begin(&mut self, c: char, range: &Range<usize>, place: Place) {
        self.bytes += c.len_utf8();
        self.terms.push(Term { text: c.into(), at: range.clone(), end: range.end, place });
    }

    fn go_on(&mut self, c: char, range: &Range<usize>) {
        let Some(last) = self.terms.last_mut() else { return };
        last.end = range.end;
        if last.place == Place::Word {
            last.at.end = range.end;
        }
        if last.text.len() < MAX_TERM {
            last.text.push(c);
            self.bytes += c.len_utf8();
        }
    }
}

/// `None` for what separates.
fn place(c: char) -> Option<Place> {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric().then_some(Place::Word);
    }
    if is_unspaced(c) {
        Some(Place::Begins)
    } else if c.is_alphanumeric() || is_combining_mark(c) {
        Some(Place::Word)
    } else {
        None
    }
}

/// Scripts that don't separate words, or (Korean) glue what is looked for to what is not; and
/// emoji, which stand anywhere.
fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{0E00}'..='\u{0EFF}' // Thai, Lao
        | '\u{1000}'..='\u{109F}' // Burmese
        | '\u{1780}'..='\u{17FF}' // Khmer
        | '\u{3005}'..='\u{3007}' | '\u{3041}'..='\u{30FF}' | '\u{31F0}'..='\u{31FF}' // Kana
        | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' // Han
        | '\u{20000}'..='\u{3FFFF}'
        | '\u{1100}'..='\u{11FF}' | '\u{AC00}'..='\u{D7A3}' // Hangul
        | '\u{2300}'..='\u{23FF}' | '\u{2600}'..='\u{27BF}' | '\u{2B00}'..='\u{2BFF}' // Symbols
        | '\u{1F000}'..='\u{1FAFF}'
    )
}

/// What makes no difference: accents, vowel points, and what is written to join or to part glyphs.
fn is_ignored(c: char) -> bool {
    matches!(c,
        '\u{0300}'..='\u{036F}' | '\u{1AB0}'..='\u{1AFF}' | '\u{1DC0}'..='\u{1DFF}'
        | '\u{20D0}'..='\u{20FF}'
        | '\u{0591}'..='\u{05C7}' // Hebrew
        | '\u{0610}'..='\u{061A}' | '\u{0640}' | '\u{064B}'..='\u{065F}' | '\u{0670}' // Arabic
        | '\u{06D6}'..='\u{06ED}'
        | '\u{00AD}' | '\u{200B}'..='\u{200D}' | '\u{2060}' | '\u{FE00}'..='\u{FE0F}'
    )
}

/// Where characters stand, with the marks that belong to them.
fn clusters(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut chars = text.char_indices().peekable();
    std::iter::from_fn(move || {
        let (start, first) = chars.next()?;
        let mut end = start + first.len_utf8();
        while let Some((at, c)) = chars.next_if(|(_, c)| is_attached(*c)) {
            end = at + c.len_utf8();
        }
        Some(start..end)
    })
}

/// Marks, half-width ones too, and the vowels and final consonants of decomposed Hangul.
fn is_attached(c: char) -> bool {
    !c.is_ascii()
        && (is_combining_mark(c) || matches!(c, '\u{1160}'..='\u{11FF}' | '\u{FF9E}'..='\u{FF9F}'))
}

fn fold(cluster: &str) -> impl Iterator<Item = char> {
    let decomposed = cluster.nfkd().flat_map(char::to_lowercase).filter(|c| !is_ignored(*c));
    // The sigma at the end of a word is a sigma.
    decomposed.map(|c| if c == 'ς' { 'σ' } else { c }).nfc()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(text: &str) -> Vec<String> {
        terms(text).into_iter().map(|term| term.text).collect()
    }

    #[test]
    fn words_are_folded() {
        assert_eq!(texts("Naïve ÉCLAIR, ﬁne!"), ["naive", "eclair", "fine"]);
        assert_eq!(texts("ΟΔΟΣ οδός"), ["οδοσ", "οδοσ"]);
        assert_eq!(texts("İstanbul ＡＢＣ１"), ["istanbul", "abc1"]);
        assert_eq!(texts("snake_case don't 3.14"), ["snake", "case", "don", "t", "3", "14"]);
        assert_eq!(texts("مُحَمَّد שָׁלוֹם"), ["محمد", "שלום"]);
        assert_eq!(texts("हिन्दी"), ["हिन्दी"]);
    }

    #[test]
    fn each_character_goes_with_the_next_where_words_are_not_separated() {
        assert_eq!(texts("東京都 tower"), ["東京", "京都", "都", "tower"]);
        assert_eq!(texts("iPhone買う"), ["iphone", "買う", "う"]);
        assert_eq!(texts("ｶﾞｷﾞ"), ["ガギ", "ギ"]);
        assert_eq!(texts("ไทย"), ["ไท", "ทย", "ย"]);
        assert_eq!(texts("학교"), ["학교", "교"]);
        assert_eq!(texts("👍🏽 ❤️"), ["👍🏽", "🏽", "❤"]);
    }

    #[test]
    fn each_of_these_characters_is_a_term_besides() {
        let found = characters(&terms("tea 東京の京都"));
        assert_eq!(found.into_iter().collect::<String>(), "の京東都");
    }

    #[test]
    fn however_it_is_composed_it_is_the_same() {
        for text in ["école", "がっこう", "학교에서", "Việt"] {
            let decomposed: String = text.nfd().collect();
            assert_ne!(text, decomposed);
            assert_eq!(texts(text), texts(&decomposed), "{text}");
        }
    }

    #[test]
    fn the_end_of_a_very_long_text_is_left_out() {
        assert_eq!(terms(&"字".repeat(100_000)).len(), MAX_TERMS);
        assert_eq!(texts(&"word ".repeat(20_000)), vec!["word"; MAX_TERMS]);
        let long = "𐐨".repeat(50_000);
        assert_eq!(texts(&long), ["𐐨".repeat(MAX_TERM / 4)]);
        let wide = format!("{} ", "𐐨".repeat(MAX_TERM / 4)).repeat(16_000);
        let bytes: usize = terms(&wide).iter().map(|term| term.text.len()).sum();
        assert!(bytes <= MAX_BYTES, "{bytes}");
    }

    proptest! {
        #[test]
        fn every_term_stands_in_the_text_and_holds_nothing_that_an_index_could_mistake(
            text in any::<String>(),
        ) {
            for term in terms(&text) {
                prop_assert!(text.get(term.at.clone()).is_some_and(|part| !part.is_empty()));
                prop_assert!(text.is_char_boundary(term.end) && term.at.end <= term.end);
                prop_assert!(!term.text.is_empty() && term.text.len() < MAX_TERM + 4);
                let is_plain = |c: char| !c.is_ascii() || c.is_ascii_alphanumeric();
                prop_assert!(term.text.chars().all(is_plain), "{:?}", term.text);
                prop_assert!(!term.text.contains(char::is_whitespace), "{:?}", term.text);
            }
        }

        #[test]
        fn case_makes_no_difference(text in "[a-zA-ZäÄéÉñÑøØдДжЖ ]{0,40}") {
            prop_assert_eq!(texts(&text), texts(&text.to_uppercase()));
        }
    }
}
