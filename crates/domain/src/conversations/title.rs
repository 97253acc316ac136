//! Titles that are made here: short, in one line, without what a model puts around them.

/// Characters in a title that is made here.
const MOST: usize = 60;
/// What models put around a title.
const AROUND: &[char] =
    &['"', '\'', '`', '*', '#', '_', '“', '”', '„', '‘', '’', '«', '»', '「', '」'];

/// The title in what a model wrote when it was asked for one; `None` where there is none.
pub fn title_written(answer: &str) -> Option<String> {
    let line = answer.lines().map(str::trim).find(|line| !line.is_empty())?;
    // Some models think aloud first.
    if line.starts_with('<') {
        return None;
    }
    let line = strip(line);
    let line = line.strip_prefix("Title:").map_or(line, strip);
    shorten(line.strip_suffix('.').map_or(line, strip))
}

/// A title out of a question: its beginning.
pub fn title_of(question: &str) -> Option<String> {
    shorten(question)
}

fn strip(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || AROUND.contains(&c))
}

/// In one line of at most [`MOST`] characters, cut after a word where there is one.
fn shorten(text: &str) -> Option<String> {
    // Bounded, however long the text is.
    let readable = text.chars().take(4 * MOST).filter(|c| !c.is_control() || c.is_whitespace());
    let readable: String = readable.collect();
    let line = readable.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= MOST {
        return Some(line).filter(|line| !line.is_empty());
    }
    let mut cut: String = line.chars().take(MOST).collect();
    let words = cut.rsplit_once(' ').map(|(words, _)| words.len());
    match words.filter(|words| *words > cut.len() / 2) {
        Some(words) => cut.truncate(words),
        // Words are long, or not separated.
        None => drop(cut.pop()),
    }
    let kept = cut.trim_end_matches([' ', ',', ';', ':', '-', '–']);
    Some(format!("{kept}…"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_models_put_around_a_title_is_taken_off() {
        for (answer, title) in [
            ("Green Tea", Some("Green Tea")),
            ("\n  \"Green Tea\"\n", Some("Green Tea")),
            ("**Title: Green tea.**\n\nIt is about tea.", Some("Green tea")),
            ("# Green tea", Some("Green tea")),
            ("「お茶について」", Some("お茶について")),
            ("What is tea?", Some("What is tea?")),
            ("<think>The user wants", None),
            (" \n ", None),
            ("\"\"", None),
            ("", None),
        ] {
            assert_eq!(title_written(answer).as_deref(), title, "{answer:?}");
        }
    }

    #[test]
    fn a_long_question_is_cut_after_a_word() {
        let question =
            "Which of the teas that you know keeps me awake the longest,\nand why is that?";
        let title = title_of(question).unwrap();
        assert_eq!(title, "Which of the teas that you know keeps me awake the longest…");
        let title = title_of(&"茶".repeat(200)).unwrap();
        assert_eq!(title, format!("{}…", "茶".repeat(59)));
        assert_eq!(title_of("Why?\0\tAnd how?").as_deref(), Some("Why? And how?"));
    }

    proptest! {
        #[test]
        fn a_title_is_one_line_and_short(text in "\\PC*|[\\s\\S]*") {
            for title in [title_of(&text), title_written(&text)].into_iter().flatten() {
                prop_assert!(!title.is_empty() && title.chars().count() <= MOST);
                prop_assert!(!title.contains(char::is_control), "{title:?}");
            }
        }
    }
}
