//! Server-sent events as they come in (WHATWG HTML, 9.2.6), out of pieces cut anywhere.
//!
//! Written here for two reasons: an event is bounded, whatever a server sends, and none costs an
//! allocation.

use memchr::{memchr, memchr2};
use thiserror::Error;

/// The longest event, in bytes.
const MAX_EVENT: usize = 1 << 20;
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an event is longer than {MAX_EVENT} bytes")]
pub(super) struct EventTooLong;

/// Names other than `error` mean nothing here, and ids and retry times neither.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Event<'a> {
    pub(super) is_error: bool,
    pub(super) data: &'a [u8],
}

#[derive(Debug, Default)]
pub(super) struct Decoder {
    buffer: Vec<u8>,
    /// How much of the buffer has been read.
    read: usize,
    /// The last line ended with CR, so that an LF now belongs to it.
    after_cr: bool,
    has_begun: bool,
    event: EventFields,
    /// The event has been handed out: the next line begins another.
    is_given: bool,
}

#[derive(Debug, Default)]
struct EventFields {
    is_error: bool,
    /// Data lines, each with a line feed at its end.
    data: Vec<u8>,
}

impl Decoder {
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.read);
        self.read = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// Takes what is there for whole. The standard drops an event without its blank line; servers
    /// forget it after the last one.
    pub(super) fn finish(&mut self) {
        self.feed(b"\n\n");
    }

    /// The next whole event; `None` when more has to be fed first.
    pub(super) fn next_event(&mut self) -> Result<Option<Event<'_>>, EventTooLong> {
        if self.is_given {
            self.is_given = false;
            self.event.clear();
        }
        while let Some(line) = next_line(&self.buffer, &mut self.read, &mut self.after_cr) {
            let line = if self.has_begun {
                line
            } else {
                self.has_begun = true;
                line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line)
            };
            if !line.is_empty() {
                self.event.add(line);
            } else if self.event.data.is_empty() {
                self.event.clear();
            } else {
                self.is_given = true;
                break;
            }
        }
        let unread = self.buffer.len() - self.read;
        if self.event.data.len() > MAX_EVENT || (!self.is_given && unread > MAX_EVENT) {
            return Err(EventTooLong);
        }
        Ok(self.is_given.then(|| self.event.as_event()))
    }
}

/// A whole line without its end, which is LF, CR or both.
fn next_line<'a>(buffer: &'a [u8], read: &mut usize, after_cr: &mut bool) -> Option<&'a [u8]> {
    if *after_cr && let Some(next) = buffer.get(*read) {
        *after_cr = false;
        *read += usize::from(*next == b'\n');
    }
    let rest = &buffer[*read..];
    let end = memchr2(b'\n', b'\r', rest)?;
    *after_cr = rest[end] == b'\r';
    *read += end + 1;
    Some(&rest[..end])
}

impl EventFields {
    fn add(&mut self, line: &[u8]) {
        // A line that begins with a colon is a comment: its field has no name.
        let (name, value) = match memchr(b':', line) {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &[][..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" => {
                self.data.extend_from_slice(value);
                self.data.push(b'\n');
            }
            b"event" => self.is_error = value == b"error",
            _ => {}
        }
    }

    fn clear(&mut self) {
        self.is_error = false;
        self.data.clear();
    }

    fn as_event(&self) -> Event<'_> {
        Event { is_error: self.is_error, data: self.data.strip_suffix(b"\n").unwrap_or_default() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What comes out when the bytes arrive in pieces of the given sizes.
    fn decode(bytes: &[u8], sizes: &[usize]) -> Result<Vec<(bool, String)>, EventTooLong> {
        let mut decoder = Decoder::default();
        let mut events = Vec::new();
        let mut rest = bytes;
        let mut sizes = sizes.iter().copied();
        while !rest.is_empty() {
            let (piece, later) = rest.split_at(sizes.next().unwrap_or(usize::MAX).min(rest.len()));
            decoder.feed(piece);
            while let Some(event) = decoder.next_event()? {
                let data = String::from_utf8(event.data.to_vec()).unwrap();
                events.push((event.is_error, data));
            }
            rest = later;
        }
        Ok(events)
    }

    fn data(bytes: &[u8]) -> Vec<String> {
        decode(bytes, &[]).unwrap().into_iter().map(|(_, data)| data).collect()
    }

    #[test]
    fn lines_may_end_in_any_of_three_ways() {
        for text in
            ["data: a\n\ndata: b\n\n", "data: a\r\n\r\ndata: b\r\n\r\n", "data: a\r\rdata: b\r\r"]
        {
            assert_eq!(data(text.as_bytes()), ["a", "b"], "{text:?}");
        }
    }

    #[test]
    fn several_data_lines_are_one_event() {
        assert_eq!(data(b"data: a\ndata:b\ndata\ndata:  c\n\n"), ["a\nb\n\n c"]);
    }

    #[test]
    fn comments_names_ids_and_unknown_fields_say_nothing() {
        let text =
            ": ping\n\n: x\nid: 7\nretry: 3\ndatax: no\nevent: message\ndata: a\n\nid: 8\n\n";
        assert_eq!(data(text.as_bytes()), ["a"]);
    }

    #[test]
    fn an_error_event_is_marked_and_the_next_is_not() {
        let events = decode(b"event: error\ndata: x\n\nevent: error\n\ndata: y\n\n", &[]).unwrap();
        assert_eq!(events, [(true, "x".into()), (false, "y".into())]);
    }

    #[test]
    fn a_byte_order_mark_is_passed_over_once() {
        assert_eq!(data("\u{feff}data: a\n\n\u{feff}data: b\n\n".as_bytes()), ["a"]);
    }

    #[test]
    fn the_last_event_needs_no_blank_line() {
        for text in ["data: a", "data: a\n", "data: a\r", "data: a\r\n", "data: a\n\n"] {
            let mut decoder = Decoder::default();
            decoder.feed(text.as_bytes());
            decoder.finish();
            assert_eq!(decoder.next_event().unwrap().unwrap().data, b"a", "{text:?}");
            assert_eq!(decoder.next_event(), Ok(None));
        }
    }

    #[test]
    fn an_event_has_a_longest_length_and_a_stream_has_none() {
        let line = [b"data: ", "x".repeat(MAX_EVENT / 2).as_bytes(), b"\n"].concat();
        let event = [&line[..], b"\n"].concat();
        assert_eq!(data(&event.repeat(5)).len(), 5);
        assert_eq!(decode(&line.repeat(3), &[]), Err(EventTooLong));
        assert_eq!(decode(&vec![b'x'; MAX_EVENT + 1], &[]), Err(EventTooLong));
    }

    proptest! {
        #[test]
        fn no_more_comes_out_than_went_in(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let mut decoder = Decoder::default();
            decoder.feed(&bytes);
            decoder.finish();
            let mut told = 0;
            while let Some(event) = decoder.next_event().unwrap() {
                told += event.data.len();
            }
            prop_assert!(told <= bytes.len());
        }

        #[test]
        fn where_the_pieces_are_cut_changes_nothing(
            text in "(data: [é🙂:a]{0,3}(\n|\r|\r\n)|event: error\n|: c\r\n|\n|\r\n|\r|[a:]){0,20}",
            sizes in prop::collection::vec(1usize..7, 200),
        ) {
            prop_assert_eq!(decode(text.as_bytes(), &sizes), decode(text.as_bytes(), &[]));
        }
    }
}
