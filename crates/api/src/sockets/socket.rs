//! One socket: what it hears, what it tells, and when it closes.

mod answering;
mod hearing;

use std::{
    collections::VecDeque,
    future::pending,
    ops::ControlFlow::{self, Break, Continue},
    time::Duration,
};

use actix_ws::{
    AggregatedMessage, AggregatedMessageStream, Closed, Message, MessageStream, Session,
};
use bytes::Bytes;
use futures::{
    SinkExt, StreamExt,
    future::{BoxFuture, poll_fn},
    stream::FuturesUnordered,
};
use repartee_application::accounts::Access;
use tokio::{
    select,
    time::{sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    ask::{Answer, Refusal, Work},
    clocks::{Clocks, Tick},
    closing::Closing,
    dialect::Dialect,
    following::Following,
    room::{News, Room},
    services::SocketServices,
};

/// What is read of a message, though it be too long: so that its sender gets to hear of it.
const MOST_READ: usize = 1024 * 1024;
/// Frames that may wait; what makes more waits itself.
const MOST_WAITING: usize = 16;
const MOST_CANCELLING: usize = 16;
/// For the other side to close too.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) struct Socket {
    services: SocketServices,
    access: Access,
    room: Option<Room>,
    dialect: Dialect,
    session: Session,
    messages: AggregatedMessageStream,
    /// Written one by one. Events wait in their streams, not here.
    outbox: VecDeque<Message>,
    following: Following,
    /// What the last frame asked for. Frames are taken one after the other …
    working: Option<Work>,
    /// … but for cancelling, which takes until the reply has ended.
    cancelling: FuturesUnordered<Work>,
    clocks: Clocks,
    malformed: u8,
    signed_out: BoxFuture<'static, ()>,
    going_away: CancellationToken,
}

type Step = ControlFlow<Closing>;

impl Socket {
    pub(super) fn new(
        services: SocketServices,
        access: Access,
        room: Option<Room>,
        dialect: Dialect,
        session: Session,
        messages: MessageStream,
    ) -> Self {
        let time_left = services.access.time_left(&access);
        let messages = messages.max_frame_size(MOST_READ).aggregate_continuations();
        Self {
            clocks: Clocks::new(time_left, services.streams.stalled_after()),
            signed_out: services.access.ended(access.actor.clone()),
            going_away: services.streams.going_away(),
            services,
            access,
            room,
            dialect,
            session,
            messages: messages.max_continuation_size(MOST_READ),
            outbox: VecDeque::new(),
            following: Following::default(),
            working: None,
            cancelling: FuturesUnordered::new(),
            malformed: 0,
        }
    }

    /// Until it closes.
    pub(super) async fn run(mut self) {
        loop {
            if let Break(closing) = self.step().await {
                return self.close(closing).await;
            }
        }
    }

    async fn step(&mut self) -> Step {
        let is_free = self.outbox.is_empty();
        let is_listening = self.working.is_none()
            && self.outbox.len() < MOST_WAITING
            && self.cancelling.len() < MOST_CANCELLING;
        let has_room_for_news = is_free && self.working.is_none() && !self.following.is_full();
        let session = &mut self.session;
        select! {
            biased;
            () = &mut self.signed_out => Break(Closing::unauthenticated()),
            ready = poll_fn(|context| session.poll_ready_unpin(context)), if !is_free => {
                self.write(ready)
            }
            () = sleep_until(self.clocks.next()) => self.tick(),
            message = self.messages.next(), if is_listening => self.hear(message),
            answer = finished(&mut self.working) => {
                self.working = None;
                self.answer(answer);
                Continue(())
            }
            Some(answer) = self.cancelling.next(), if !self.cancelling.is_empty() => {
                self.answer(answer);
                Continue(())
            }
            next = self.following.next(), if is_free => {
                self.tell(&next);
                Continue(())
            }
            news = news(&mut self.room), if has_room_for_news => self.relay(news),
            // Last: what there is is told before.
            () = self.going_away.cancelled() => Break(Closing::going_away()),
        }
    }

    fn say(&mut self, frame: Bytes) {
        // What was put into bytes as JSON is UTF-8.
        if let Ok(text) = frame.try_into() {
            self.clocks.waits();
            self.outbox.push_back(Message::Text(text));
        }
    }

    fn write(&mut self, ready: Result<(), Closed>) -> Step {
        let Some(message) = self.outbox.pop_front() else { return Continue(()) };
        if ready.and_then(|()| self.session.start_send_unpin(message)).is_err() {
            return Break(Closing::Gone);
        }
        self.clocks.wrote(self.outbox.is_empty());
        Continue(())
    }

    fn tick(&mut self) -> Step {
        match self.clocks.tick() {
            Tick::Nothing => {}
            Tick::Ping => {
                self.clocks.waits();
                self.outbox.push_back(Message::Ping(Bytes::new()));
            }
            Tick::Expired => self.say(self.dialect.token_expired()),
            Tick::Unauthenticated => return Break(Closing::unauthenticated()),
            Tick::Idle => return Break(Closing::idle()),
            // Nothing can be said to it; the kernel gives the connection up.
            Tick::Stalled => return Break(Closing::Gone),
        }
        Continue(())
    }

    /// Says good-bye after what waits, and hears the other side's.
    async fn close(mut self, closing: Closing) {
        let Closing::With(reason) = closing else { return };
        let farewell = async {
            for message in self.outbox.drain(..) {
                self.session.send(message).await?;
            }
            self.session.close(Some(reason)).await?;
            while let Some(Ok(message)) = self.messages.next().await {
                if matches!(message, AggregatedMessage::Close(_)) {
                    break;
                }
            }
            Ok::<(), Closed>(())
        };
        // Whoever does not listen is not waited for.
        let _ = timeout(PATIENCE, farewell).await;
    }
}

/// What is being worked on, where there is something.
async fn finished(work: &mut Option<Work>) -> Result<Answer, Refusal> {
    match work {
        Some(work) => work.await,
        None => pending().await,
    }
}

async fn news(room: &mut Option<Room>) -> News {
    match room {
        Some(room) => room.next().await,
        None => pending().await,
    }
}
