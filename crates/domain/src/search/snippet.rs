//! The part of a text that shows why it was found.

use std::ops::Range;

use super::{
    query::Query,
    terms::{Term, terms},
};

/// Characters in all.
const WIDTH: usize = 200;
/// Characters before the first place that is shown.
const LEAD: usize = 40;

/// A piece of a snippet: found, or around what was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    pub text: String,
    pub is_match: bool,
}

struct Match {
    phrase: usize,
    at: Range<usize>,
}

/// Where most of what was looked for stands close together. Line breaks become spaces, and an
/// ellipsis stands for what is left out.
pub fn snippet(text: &str, query: &Query) -> Vec<Piece> {
    let terms = terms(text);
    let matches = matches(&terms, query);
    let shown = window(text, &terms, best(text, &matches));
    let mut pieces = Pieces::default();
    if shown.start > 0 {
        pieces.push("…", false);
    }
    let mut at = shown.start;
    for found in matches.iter().map(|found| &found.at) {
        let (start, end) = (found.start.max(at), found.end.min(shown.end));
        if start < end {
            pieces.push(&text[at..start], false);
            pieces.push(&text[start..end], true);
            at = end;
        }
    }
    pieces.push(&text[at..shown.end], false);
    if shown.end < text.len() {
        pieces.push("…", false);
    }
    pieces.0
}

fn matches(terms: &[Term], query: &Query) -> Vec<Match> {
    let at = |from: usize| {
        let ends = query.phrases().iter().map(move |phrase| phrase.end_in(&terms[from..]));
        let ends = ends.enumerate().filter_map(|(phrase, end)| Some((phrase, end?)));
        ends.map(move |(phrase, end)| Match { phrase, at: terms[from].at.start..end })
    };
    (0..terms.len()).flat_map(at).collect()
}

/// Where the place begins that has the most phrases; the first of several.
fn best(text: &str, matches: &[Match]) -> usize {
    let mut best = (0, 0);
    for (number, first) in matches.iter().enumerate() {
        let end = forward(text, first.at.start, WIDTH - LEAD);
        let here = matches[number..].iter().take_while(|found| found.at.end <= end);
        let mut phrases: Vec<usize> = here.map(|found| found.phrase).collect();
        phrases.sort_unstable();
        phrases.dedup();
        if phrases.len() > best.0 {
            best = (phrases.len(), first.at.start);
        }
    }
    best.1
}

/// Begins and ends between terms, where it may.
fn window(text: &str, terms: &[Term], place: usize) -> Range<usize> {
    let earliest = text[..place].char_indices().rev().nth(LEAD - 1).map_or(0, |(at, _)| at);
    let start = match earliest {
        0 => 0,
        _ => terms.iter().map(|term| term.at.start).find(|at| *at >= earliest).unwrap_or(place),
    };
    let latest = forward(text, start, WIDTH);
    let end = match terms.iter().rfind(|term| term.at.end <= latest) {
        Some(last) if latest < text.len() && last.at.end > start => last.at.end,
        _ => latest,
    };
    start..end
}

/// So many characters on.
fn forward(text: &str, from: usize, characters: usize) -> usize {
    text[from..].char_indices().nth(characters).map_or(text.len(), |(at, _)| from + at)
}

#[derive(Default)]
struct Pieces(Vec<Piece>);

impl Pieces {
    fn push(&mut self, text: &str, is_match: bool) {
        let text = text.replace(char::is_control, " ");
        match self.0.last_mut() {
            _ if text.is_empty() => {}
            Some(last) if last.is_match == is_match => last.text.push_str(&text),
            _ => self.0.push(Piece { text, is_match }),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// With brackets around what was found.
    fn shown(text: &str, query: &str) -> String {
        let pieces = snippet(text, &Query::parse(query.into()).unwrap());
        let pieces = pieces
            .into_iter()
            .map(|piece| if piece.is_match { format!("[{}]", piece.text) } else { piece.text });
        pieces.collect()
    }

    #[test]
    fn what_was_found_is_marked_as_it_was_written() {
        assert_eq!(shown("A NAÏVE idea,\nnaively put", "naive"), "A [NAÏVE] idea, [naively] put");
        assert_eq!(shown("tea, green tea", "\"green tea\""), "tea, [green tea]");
        assert_eq!(shown("東京都と京都", "京都"), "東[京都]と[京都]");
        assert_eq!(shown("東京都と京都", "京"), "東[京]都と[京]都");
        assert_eq!(shown("ไปเที่ยวเชียงใหม่", "เที่ยว"), "ไป[เที่ยว]เชียงใหม่");
        assert_eq!(shown("<b>hi</b> 🎉!", "🎉 b"), "<[b]>hi</[b]> [🎉]!");
        assert_eq!(shown("nothing", "else"), "nothing");
    }

    #[test]
    fn the_place_that_has_the_most_of_it_is_shown() {
        let far = "word ".repeat(100);
        let text = format!("green {far}cup of green tea {far}");

        let shown = shown(&text, "green tea");

        assert!(shown.starts_with("…word word"), "{shown}");
        assert!(shown.contains("cup of [green] [tea] word") && shown.ends_with("word…"), "{shown}");
        assert!(shown.chars().count() <= WIDTH + 6, "{shown}");
    }

    proptest! {
        #[test]
        fn a_snippet_is_short_and_a_short_text_is_whole(
            text in any::<String>(), query in "[ -~]{1,20}",
        ) {
            let Ok(query) = Query::parse(query) else { return Ok(()) };
            let pieces = snippet(&text, &query);
            let whole: String = pieces.iter().map(|piece| piece.text.as_str()).collect();
            prop_assert!(whole.chars().count() <= WIDTH + 2);
            if text.chars().count() <= WIDTH - LEAD {
                prop_assert_eq!(whole, text.replace(char::is_control, " "));
            }
        }
    }
}
