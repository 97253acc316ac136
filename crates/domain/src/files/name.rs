//! What a file is called.

/// In characters.
const MAX: usize = 255;
/// A longer one is no extension: it is cut as any text is.
const MAX_EXTENSION: usize = 16;
const NAMELESS: &str = "file";

/// A name to show: never a path, on one line, of at most 255 characters. Nothing is kept under it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileName(String);

impl FileName {
    /// Out of whatever a client calls it: folders go, and so does what is not seen or changes how the
    /// rest is seen. A long name keeps its extension.
    pub fn shown(text: &str) -> Self {
        let last = text.rsplit(['/', '\\']).next().unwrap_or_default();
        let visible: String = last.chars().filter(|c| !is_hidden(*c)).collect();
        let name = shortened(visible.trim()).trim_end().to_owned();
        let is_name = !name.trim_matches('.').is_empty();
        Self(if is_name { name } else { NAMELESS.to_owned() })
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Without the dot, in lower case; empty where there is none.
    pub fn extension(&self) -> String {
        self.0.rsplit_once('.').map(|(_, end)| end.to_lowercase()).unwrap_or_default()
    }
}

/// Control characters, ends of lines, and what turns the direction of writing: `exe.txt` must not
/// look like `txt.exe`.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

fn shortened(name: &str) -> String {
    if name.chars().count() <= MAX {
        return name.to_owned();
    }
    let dotted = name.rsplit_once('.').map(|(_, end)| format!(".{end}"));
    let extension = dotted.filter(|end| end.chars().count() <= MAX_EXTENSION).unwrap_or_default();
    let kept = MAX - extension.chars().count();
    name.chars().take(kept).chain(extension.chars()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn folders_and_hidden_characters_go() {
        for (sent, shown) in [
            ("tea.txt", "tea.txt"),
            ("../../etc/passwd", "passwd"),
            ("C:\\Users\\ada\\tea.txt", "tea.txt"),
            ("/", "file"),
            ("..", "file"),
            ("", "file"),
            (" a\r\nb\0.txt ", "ab.txt"),
            ("ชาเขียว 🍵.md", "ชาเขียว 🍵.md"),
            ("\u{202e}txt.exe", "txt.exe"),
            (".env", ".env"),
        ] {
            assert_eq!(FileName::shown(sent).as_str(), shown, "{sent:?}");
        }
    }

    #[test]
    fn a_long_name_keeps_its_extension() {
        let name = FileName::shown(&format!("{}.PDF", "ä".repeat(400)));
        assert_eq!((name.as_str().chars().count(), &*name.extension()), (255, "pdf"));
        let name = FileName::shown(&format!("a.{}", "b".repeat(400)));
        assert_eq!(name.as_str().chars().count(), 255);
    }

    proptest! {
        #[test]
        fn any_text_gives_a_name_that_stays_as_it_is(text in "\\PC{0,300}|.{0,300}|[./\\\\ ]{0,9}") {
            let name = FileName::shown(&text);
            prop_assert!((1..=MAX).contains(&name.as_str().chars().count()));
            prop_assert!(!name.as_str().contains(['/', '\\', '\0', '\n', '\r']));
            prop_assert!(![".", ".."].contains(&name.as_str()));
            prop_assert_eq!(FileName::shown(name.as_str()), name);
        }
    }
}
