//! What a file is, by its bytes.

use infer::MatcherType;

use super::FileName;

/// What tells files apart stands at their beginning.
const HEAD: usize = 8 * 1024;
const BINARY: &str = "application/octet-stream";
/// What is text to the eye, and something more particular.
const READABLE: [&str; 3] = ["application/pdf", "application/rtf", "application/postscript"];

/// Takes in a file's bytes, in pieces of any size, and then tells what it is.
#[derive(Debug, Default)]
pub struct Sniffer {
    head: Vec<u8>,
    text: TextCheck,
}

impl Sniffer {
    pub fn feed(&mut self, bytes: &[u8]) {
        let missing = HEAD - self.head.len();
        self.head.extend(bytes.iter().take(missing));
        self.text.feed(bytes);
    }

    /// The media type. The name counts only for which kind of text a text is, for that cannot be told
    /// otherwise.
    pub fn media_type(&self, name: &FileName) -> &'static str {
        let known = infer::get(&self.head);
        if !self.text.is_text() {
            return known.map_or(BINARY, |known| known.mime_type());
        }
        // What begins with the letters BM is no picture where all of it is text.
        let known = known.filter(|known| {
            known.matcher_type() == MatcherType::Text || READABLE.contains(&known.mime_type())
        });
        match (known, &*name.extension()) {
            (Some(known), _) if READABLE.contains(&known.mime_type()) => known.mime_type(),
            (_, "md" | "markdown") => "text/markdown",
            (_, "csv") => "text/csv",
            (_, "json") => "application/json",
            (Some(known), _) => known.mime_type(),
            (None, _) => "text/plain",
        }
    }
}

/// Whether all bytes are UTF-8, and none is what no text holds.
#[derive(Debug, Default)]
struct TextCheck {
    is_binary: bool,
    /// The beginning of a character whose end is still to come.
    begun: Vec<u8>,
}

impl TextCheck {
    fn feed(&mut self, bytes: &[u8]) {
        if self.is_binary {
            return;
        }
        let joined;
        let bytes = if self.begun.is_empty() {
            bytes
        } else {
            joined = [&self.begun, bytes].concat();
            &joined
        };
        let begun = match std::str::from_utf8(bytes) {
            Ok(_) => Vec::new(),
            Err(error) if error.error_len().is_none() => bytes[error.valid_up_to()..].to_vec(),
            Err(_) => {
                self.is_binary = true;
                return;
            }
        };
        self.is_binary = bytes.iter().any(|byte| is_of_no_text(*byte));
        self.begun = begun;
    }

    fn is_text(&self) -> bool {
        !self.is_binary && self.begun.is_empty()
    }
}

/// A "binary data byte" of <https://mimesniff.spec.whatwg.org>.
fn is_of_no_text(byte: u8) -> bool {
    matches!(byte, 0..=8 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sniffed(bytes: &[u8], name: &str) -> &'static str {
        let mut sniffer = Sniffer::default();
        sniffer.feed(bytes);
        sniffer.media_type(&FileName::shown(name))
    }

    #[test]
    fn the_bytes_tell_and_the_name_does_not() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
        for name in ["tea.png", "tea.txt", "tea.html", "tea"] {
            assert_eq!(sniffed(png, name), "image/png", "{name}");
        }
        assert_eq!(sniffed(b"%PDF-1.7 all ASCII", "tea.md"), "application/pdf");
        assert_eq!(sniffed(b"<!DOCTYPE html><script>", "tea.txt"), "text/html");
        assert_eq!(sniffed(b"<?xml version=\"1.0\"?><svg/>", "tea.png"), "text/xml");
        assert_eq!(sniffed(b"no picture at all", "tea.png"), "text/plain");
        assert_eq!(sniffed(b"BMW, and other words", "cars"), "text/plain");
        assert_eq!(sniffed(b"some \x00 bytes", "tea.txt"), "application/octet-stream");
        assert_eq!(sniffed(b"caf\xe9 in Latin-1", "tea.txt"), "application/octet-stream");
        assert_eq!(sniffed("cut in two: é".as_bytes().split_last().unwrap().1, "x"), BINARY);
    }

    #[test]
    fn of_a_text_the_name_says_which() {
        for (name, kind) in [
            ("tea.md", "text/markdown"),
            ("tea.CSV", "text/csv"),
            ("tea.json", "application/json"),
            ("tea.html", "text/plain"),
            ("tea", "text/plain"),
        ] {
            assert_eq!(sniffed("ชา, tea".as_bytes(), name), kind, "{name}");
        }
        assert_eq!(sniffed(b"<p align=\"center\">Tea</p>", "README.md"), "text/markdown");
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_the_bytes_are_cut(
            bytes in prop_oneof![
                any::<String>().prop_map(String::into_bytes),
                proptest::collection::vec(any::<u8>(), 0..60),
                "\\PC{2990,3010}".prop_map(String::into_bytes),
            ],
            size in 1_usize..40,
        ) {
            let mut sniffer = Sniffer::default();
            for piece in bytes.chunks(size) {
                sniffer.feed(piece);
            }
            prop_assert_eq!(sniffer.media_type(&FileName::shown("x")), sniffed(&bytes, "x"));
        }
    }
}
