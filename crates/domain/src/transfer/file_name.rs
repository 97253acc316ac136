//! What a file is called.

/// Characters of a title that go into a file's name.
const LONGEST: usize = 80;
/// What a system takes for something else in a name, or refuses.
const RESERVED: [char; 9] = ['/', '\\', ':', '*', '?', '"', '<', '>', '|'];

/// A name that every system takes, made from a title, without its ending.
pub fn file_name(title: Option<&str>) -> String {
    let plain = |c: char| if c.is_control() || RESERVED.contains(&c) { ' ' } else { c };
    let title: String = title.unwrap_or_default().chars().map(plain).collect();
    let words: Vec<&str> = title.split_whitespace().collect();
    let name: String = words.join(" ").chars().take(LONGEST).collect();
    let name = name.trim_matches(|c: char| c == '.' || c.is_whitespace());
    if name.is_empty() { "conversation".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_reads_as_the_title_does() {
        assert_eq!(file_name(Some("Green tea, 茶")), "Green tea, 茶");
        assert_eq!(file_name(Some("../../etc/passwd")), "etc passwd");
        assert_eq!(file_name(Some("a\r\nb: \"c\"")), "a b c");
        for nothing in [None, Some(""), Some(" ... "), Some("///")] {
            assert_eq!(file_name(nothing), "conversation");
        }
        assert_eq!(file_name(Some(&"é".repeat(200))).chars().count(), LONGEST);
    }

    proptest! {
        #[test]
        fn no_name_leads_anywhere(title: String) {
            let name = file_name(Some(&title));
            prop_assert!(!name.is_empty() && !name.starts_with('.') && !name.ends_with('.'));
            prop_assert!(!name.chars().any(|c| c.is_control() || RESERVED.contains(&c)));
        }
    }
}
