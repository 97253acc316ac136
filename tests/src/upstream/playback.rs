//! A response body that hands out prepared bytes on schedule.

use std::{
    io, mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::{record::OpenReply, stamp};

/// An error takes back what isn't written yet, so the last frame gets a moment to leave.
const FLUSH: Duration = Duration::from_millis(2);

/// What comes after the last byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    End,
    /// The connection breaks without an end of the body.
    Cut,
    Silence,
}

/// What is sent, and when.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) text: Bytes,
    /// Where each frame of the text ends.
    pub(super) ends: Arc<[usize]>,
    /// Goes out together with the last frame.
    pub(super) tail: Bytes,
    /// Before the first frame.
    pub(super) first: Duration,
    /// Between two frames.
    pub(super) gap: Duration,
    pub(super) after: After,
    /// Announced as the length of the body; a stream announces none.
    pub(super) length: Option<u64>,
    /// Whether each frame has stamps to be set when it leaves.
    pub(super) stamped: bool,
}

impl Script {
    /// A body in one piece after `wait`; of one that isn't to end, half.
    pub(super) fn whole(text: Bytes, wait: Duration, after: After) -> Self {
        let shown = if after == After::End { text.len() } else { text.len() / 2 };
        Self {
            length: Some(text.len() as u64),
            ends: Arc::new([shown]),
            text,
            tail: Bytes::new(),
            first: wait,
            gap: Duration::ZERO,
            after,
            stamped: false,
        }
    }
}

#[derive(Debug)]
pub(super) struct Playback {
    script: Script,
    /// The next frame, and where it starts.
    position: usize,
    start: usize,
    clock: Option<Clock>,
    cut: Option<Pin<Box<Sleep>>>,
    /// None where nothing is scripted, so that the statistics leave it out.
    reply: Option<OpenReply>,
}

#[derive(Debug)]
struct Clock {
    sleep: Pin<Box<Sleep>>,
    due: Instant,
    gap: Duration,
}

impl Playback {
    pub(super) fn of(script: Script, reply: OpenReply) -> Self {
        let clock = Clock::starting(script.first, script.gap);
        Self { script, position: 0, start: 0, clock, cut: None, reply: Some(reply) }
    }

    /// A body that no model has written.
    pub(super) fn at_once(text: Bytes) -> Self {
        let script = Script::whole(text, Duration::ZERO, After::End);
        Self { script, position: 0, start: 0, clock: None, cut: None, reply: None }
    }

    fn frame(&self, start: usize, end: usize) -> Bytes {
        let frame = self.script.text.slice(start..end);
        if !self.script.stamped {
            return frame;
        }
        let mut frame = Vec::from(frame);
        stamp::set(&mut frame);
        Bytes::from(frame)
    }

    fn next_frame(&mut self) -> Option<Bytes> {
        let frame = if let Some(&end) = self.script.ends.get(self.position) {
            self.position += 1;
            let start = mem::replace(&mut self.start, end);
            self.frame(start, end)
        } else {
            mem::take(&mut self.script.tail)
        };
        // Here and not at the end of the body: a client that knows the length never asks for it.
        let all = self.position == self.script.ends.len() && self.script.tail.is_empty();
        if all && self.script.after != After::Silence {
            self.reply.as_mut().into_iter().for_each(OpenReply::finish);
        }
        (!frame.is_empty()).then_some(frame)
    }
}

impl Clock {
    fn starting(first: Duration, gap: Duration) -> Option<Self> {
        if first.is_zero() && gap.is_zero() {
            return None;
        }
        let due = Instant::now() + first;
        Some(Self { sleep: Box::pin(sleep_until(due)), due, gap })
    }

    /// Each frame is due by the schedule, not by the one before: delays don't add up.
    fn poll_due(&mut self, context: &mut Context<'_>) -> Poll<()> {
        ready!(self.sleep.as_mut().poll(context));
        self.due += self.gap;
        self.sleep.as_mut().reset(self.due);
        Poll::Ready(())
    }
}

impl Body for Playback {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = &mut *self;
        if this.position < this.script.ends.len()
            && let Some(clock) = &mut this.clock
        {
            ready!(clock.poll_due(context));
        }
        match (this.next_frame(), this.script.after) {
            (Some(frame), _) => Poll::Ready(Some(Ok(Frame::data(frame)))),
            (None, After::End) => Poll::Ready(None),
            (None, After::Cut) => {
                let cut = this.cut.get_or_insert_with(|| Box::pin(sleep(FLUSH)));
                ready!(cut.as_mut().poll(context));
                Poll::Ready(Some(Err(io::Error::other("cut by the script"))))
            }
            (None, After::Silence) => Poll::Pending,
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.script.length.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}
