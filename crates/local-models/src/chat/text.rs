//! Text out of the bytes of tokens.

/// Puts characters together: a token may end in the middle of one.
#[derive(Default)]
pub(crate) struct TextDecoder {
    /// The beginning of a character, at most three bytes.
    pending: Vec<u8>,
}

impl TextDecoder {
    /// The characters that are whole now, perhaps none. What can be no character becomes U+FFFD.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> String {
        self.pending.extend_from_slice(bytes);
        let mut text = String::new();
        loop {
            let error = match std::str::from_utf8(&self.pending) {
                Ok(whole) => {
                    text.push_str(whole);
                    self.pending.clear();
                    return text;
                }
                Err(error) => error,
            };
            let whole: Vec<u8> = self.pending.drain(..error.valid_up_to()).collect();
            text.push_str(&String::from_utf8_lossy(&whole));
            let Some(bad) = error.error_len() else { return text };
            self.pending.drain(..bad);
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pieces that come out when `bytes` go in one by one.
    fn one_by_one(bytes: &[u8]) -> Vec<String> {
        let mut decoder = TextDecoder::default();
        bytes.iter().map(|byte| decoder.push(&[*byte])).filter(|text| !text.is_empty()).collect()
    }

    #[test]
    fn a_character_in_pieces_comes_out_whole() {
        assert_eq!(one_by_one("a👍🏽ไทย".as_bytes()), ["a", "👍", "🏽", "ไ", "ท", "ย"]);
    }

    #[test]
    fn a_token_of_an_end_and_a_beginning_gives_what_is_whole() {
        let (thumb, thai) = ("👍".as_bytes(), "ไ".as_bytes());
        let mut decoder = TextDecoder::default();

        assert_eq!(decoder.push(&thumb[..2]), "");
        assert_eq!(decoder.push(&[&thumb[2..], b"!", &thai[..1]].concat()), "👍!");
        assert_eq!(decoder.push(&thai[1..]), "ไ");
    }

    #[test]
    fn bytes_that_are_no_text_do_not_hold_up_the_rest() {
        assert_eq!(one_by_one(b"a\xFFb\xE2\x82c").concat(), "a\u{FFFD}b\u{FFFD}c");
    }
}
