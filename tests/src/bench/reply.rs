//! Reads a reply of the upstream or of the server, streamed or whole.

use std::borrow::Cow;

use anyhow::{Result, bail, ensure};
use memchr::{memchr, memmem};
use serde::Deserialize;

use super::words::{Faults, Words};
use crate::upstream::stamp;

/// Who answers: the upstream in chunks (`chat.completion.chunk`), the server in events of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Surface {
    Upstream,
    Server,
}

/// The lines of one event stream, as they come in.
#[derive(Debug)]
pub(super) struct StreamReader {
    surface: Surface,
    expected: usize,
    words: Words,
    event: Event,
    /// The beginning of a line whose end is still to come.
    partial: Vec<u8>,
    ended: bool,
    /// Of stamped words: how long each took to come here, in microseconds.
    pub(super) ages_us: Vec<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Delta,
    Done,
    /// Terminal, and not the end that was asked for.
    Failed,
    Other,
}

#[derive(Debug, Deserialize)]
struct Done<'a> {
    #[serde(borrow)]
    message: Message<'a>,
}

#[derive(Debug, Deserialize)]
struct WholeTurn<'a> {
    #[serde(borrow)]
    reply: Message<'a>,
}

#[derive(Debug, Deserialize)]
struct Completion<'a> {
    #[serde(borrow)]
    choices: [Done<'a>; 1],
}

#[derive(Debug, Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    content: Cow<'a, str>,
}

impl StreamReader {
    pub(super) fn new(surface: Surface, expected: usize) -> Self {
        let words = Words::expecting(expected);
        Self {
            surface,
            expected,
            words,
            event: Event::Other,
            partial: Vec::new(),
            ended: false,
            ages_us: Vec::new(),
        }
    }

    pub(super) fn feed(&mut self, mut bytes: &[u8]) -> Result<()> {
        while let Some(end) = memchr(b'\n', bytes) {
            if self.partial.is_empty() {
                self.line(&bytes[..end])?;
            } else {
                let mut line = std::mem::take(&mut self.partial);
                line.extend_from_slice(&bytes[..end]);
                self.line(&line)?;
            }
            bytes = &bytes[end + 1..];
        }
        self.partial.extend_from_slice(bytes);
        Ok(())
    }

    /// Whether the first word is there.
    pub(super) fn begun(&self) -> bool {
        self.words.any()
    }

    /// What the words of the stream were like; an error where it just stopped.
    pub(super) fn finish(self) -> Result<Faults> {
        ensure!(self.ended, "the stream stopped without its last event");
        Ok(self.words.faults())
    }

    /// What has come so far, be it the end or not.
    pub(super) fn faults(&self) -> Faults {
        self.words.faults()
    }

    /// The text of a frame of a WebSocket, which names its event and has its data.
    pub(super) fn frame(&mut self, frame: &[u8]) -> Result<()> {
        let name = string_after(frame, b"\"type\":").unwrap_or_default();
        self.event = match name {
            b"message_delta" => Event::Delta,
            b"message_completed" => {
                ensure!(!self.ended, "an event came after the last one: {}", excerpt(frame));
                self.ended = true;
                return Ok(());
            }
            b"message_failed" | b"message_cancelled" | b"message_interrupted" | b"error" => {
                Event::Failed
            }
            _ => Event::Other,
        };
        self.event(frame)
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    fn read(&mut self, text: &[u8]) {
        self.words.read(text);
        self.ages_us.extend(stamp::ages_us(text, stamp::now_us()));
    }

    fn line(&mut self, line: &[u8]) -> Result<()> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            self.event = Event::Other;
        } else if let Some(name) = field(line, b"event:") {
            self.event = Event::named(name);
        } else if let Some(data) = field(line, b"data:") {
            return match self.surface {
                Surface::Upstream => self.chunk(data),
                Surface::Server => self.event(data),
            };
        }
        Ok(())
    }

    fn chunk(&mut self, data: &[u8]) -> Result<()> {
        ensure!(!data.starts_with(b"{\"error\""), "an error came: {}", excerpt(data));
        if data == b"[DONE]" {
            self.ended = true;
        } else if let Some(text) = string_after(data, b"\"content\":") {
            self.read(text);
        }
        Ok(())
    }

    fn event(&mut self, data: &[u8]) -> Result<()> {
        ensure!(!self.ended, "an event came after the last one: {}", excerpt(data));
        match self.event {
            Event::Delta => self.read(string_after(data, b"\"text\":").unwrap_or_default()),
            Event::Done => {
                let done: Done<'_> = serde_json::from_slice(data)?;
                let faults = whole_faults(&done.message.content, self.expected);
                ensure!(faults == Faults::default(), "the stored message lacks words: {faults}");
                self.ended = true;
            }
            Event::Failed => bail!("the reply ended otherwise: {}", excerpt(data)),
            Event::Other => {}
        }
        Ok(())
    }
}

impl Event {
    fn named(name: &[u8]) -> Self {
        match name {
            b"delta" => Self::Delta,
            b"done" => Self::Done,
            b"failed" | b"cancelled" | b"interrupted" | b"error" => Self::Failed,
            _ => Self::Other,
        }
    }
}

/// The faults of a reply that came in one piece of JSON.
pub(super) fn read_whole(surface: Surface, body: &[u8], expected: usize) -> Result<Faults> {
    let content = match surface {
        Surface::Upstream => {
            let Completion { choices: [choice] } = serde_json::from_slice(body)?;
            choice.message.content
        }
        Surface::Server => serde_json::from_slice::<WholeTurn<'_>>(body)?.reply.content,
    };
    Ok(whole_faults(&content, expected))
}

pub(super) fn excerpt(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().take(300).collect()
}

fn whole_faults(text: &str, expected: usize) -> Faults {
    let mut words = Words::expecting(expected);
    words.read(text.as_bytes());
    words.faults()
}

fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let value = line.strip_prefix(name)?;
    Some(value.strip_prefix(b" ").unwrap_or(value))
}

/// The inside of the string after `name`. Numbered words hold nothing that JSON escapes, so the next quote ends it.
fn string_after<'a>(json: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let value =
        json[memmem::find(json, name)? + name.len()..].trim_ascii_start().strip_prefix(b"\"")?;
    Some(&value[..memchr(b'"', value)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    const NATIVE: &str = "retry: 3000\n\nid: g:1\nevent: start\ndata: {\"v\":1}\n\n: ping\nid: g:2\nevent: delta\n\
        data: {\"text\":\"tok~0~ tok\"}\n\nid: g:3\nevent: delta\ndata: {\"text\":\"~1~ \"}\n\n\
        id: g:4\nevent: done\ndata: {\"message\":{\"content\":\"tok~0~ tok~1~ \"},\"finish_reason\":\"stop\"}\n\n";

    fn read(surface: Surface, stream: &str, step: usize) -> Result<Faults> {
        let mut reader = StreamReader::new(surface, 2);
        stream.as_bytes().chunks(step).try_for_each(|part| reader.feed(part))?;
        reader.finish()
    }

    #[test]
    fn the_servers_events_are_read_however_they_are_cut() {
        for step in [1, 7, 4096] {
            assert_eq!(read(Surface::Server, NATIVE, step).unwrap(), Faults::default(), "{step}");
        }
    }

    #[test]
    fn the_words_of_the_last_event_are_not_counted_again_but_must_be_there() {
        let short = NATIVE.replace("\"content\":\"tok~0~ tok~1~ \"", "\"content\":\"tok~0~ \"");
        assert!(read(Surface::Server, &short, 4096).is_err());
    }

    #[test]
    fn a_stream_needs_its_end() {
        let open = NATIVE.split("id: g:4").next().unwrap();
        assert!(read(Surface::Server, open, 4096).is_err());
        assert!(
            read(Surface::Server, &NATIVE.replace("event: done", "event: failed"), 4096).is_err()
        );
    }

    #[test]
    fn whole_replies_are_read_on_both_surfaces() {
        let server =
            br#"{"message":{"content":"Hi"},"reply":{"content":"tok~0~ tok~1~ "},"usage":{}}"#;
        let upstream = br#"{"id":"x","choices":[{"index":0,"message":{"content":"tok~0~ "}}]}"#;
        assert_eq!(read_whole(Surface::Server, server, 2).unwrap(), Faults::default());
        assert_eq!(read_whole(Surface::Upstream, upstream, 2).unwrap().lost, 1);
    }
}
