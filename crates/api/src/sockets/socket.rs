//! One socket: what it hears, what it tells, and when it closes.

use std::{
    collections::VecDeque,
    future::pending,
    ops::ControlFlow::{self, Break, Continue},
    time::Duration,
};

use actix_ws::{
    AggregatedMessage, AggregatedMessageStream, Closed, Message, MessageStream, ProtocolError,
    Session,
};
use bytes::Bytes;
use futures::{
    SinkExt, StreamExt,
    future::{BoxFuture, poll_fn},
    stream::FuturesUnordered,
};
use repartee_application::{accounts::Access, replies::Begun};
use tokio::{
    select,
    time::{sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::ApiError;

use super::{
    ask::{About, Answer, Asker, Refusal, Work},
    clocks::{Clocks, Tick},
    closing::Closing,
    dialect::{Dialect, Session as Chat},
    following::{Following, Next},
    frames,
    incoming::{Frame, Resume, Unreadable},
    plain,
    room::{News, Room},
    services::SocketServices,
};
use crate::chat::ChatBody;

/// Bytes of a message from the client.
const MOST_BYTES: usize = 64 * 1024;
/// What is read of one that is longer, so that its sender gets to hear of it.
const MOST_READ: usize = 1024 * 1024;
const MOST_MALFORMED: u8 = 5;
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

    fn hear(&mut self, message: Option<Result<AggregatedMessage, ProtocolError>>) -> Step {
        self.clocks.heard();
        match message {
            None => return Break(Closing::Gone),
            Some(Err(error)) => return Break(error.into()),
            Some(Ok(AggregatedMessage::Close(reason))) => return Break(Closing::echo(reason)),
            Some(Ok(AggregatedMessage::Text(text))) if text.len() > MOST_BYTES => {
                return Break(Closing::too_large());
            }
            Some(Ok(AggregatedMessage::Text(text))) => return self.hear_text(&text),
            Some(Ok(AggregatedMessage::Binary(_))) => return Break(Closing::binary()),
            Some(Ok(AggregatedMessage::Ping(data))) => {
                self.clocks.waits();
                self.outbox.push_back(Message::Pong(data));
            }
            Some(Ok(AggregatedMessage::Pong(_))) => {}
        }
        Continue(())
    }

    fn hear_text(&mut self, text: &str) -> Step {
        let heard = match self.dialect {
            Dialect::Native => Frame::parse(text).map(|frame| self.obey(frame)),
            Dialect::Plain(_) => plain::parse(text).map(|message| self.chat(message)),
        };
        let about = About::default();
        match heard {
            Ok(()) => {}
            Err(Unreadable::Invalid(error)) => self.say(self.dialect.refusal(&error, about)),
            Err(Unreadable::Malformed(detail)) => {
                self.say(self.dialect.trouble("malformed_frame", detail, about));
                self.malformed += 1;
                if self.malformed >= MOST_MALFORMED {
                    return Break(Closing::malformed());
                }
            }
        }
        Continue(())
    }

    fn obey(&mut self, frame: Frame) {
        let asker = self.asker();
        self.working = Some(match frame {
            Frame::Authenticate(frame) => asker.authenticate(frame),
            Frame::Ping => return self.say(frames::pong()),
            _ if self.clocks.has_expired() => return self.say(frames::token_expired()),
            Frame::SendMessage(_) | Frame::Resume(_) if self.following.is_full() => {
                let detail = "this socket tells as many replies as it may: wait for one";
                return self.say(frames::trouble("too_many_replies", detail, About::default()));
            }
            Frame::StartConversation(start) => asker.start(*start),
            Frame::SendMessage(message) => asker.send(message),
            Frame::EndConversation(conversation) => asker.end(conversation),
            Frame::Cancel(cancel) => {
                let id = cancel.generation_id.as_deref().and_then(|id| id.parse().ok());
                let is_followed = id.is_some_and(|id| self.following.has(id));
                return self.cancelling.push(asker.cancel(cancel, is_followed));
            }
            Frame::Resume(resume) => asker.resume(resume),
        });
    }

    /// A message in the plain frames, in which two replies could not be told apart.
    fn chat(&mut self, message: Box<ChatBody>) {
        let Dialect::Plain(session) = &self.dialect else { return };
        if self.clocks.has_expired() {
            return self.say(self.dialect.token_expired());
        }
        if !self.following.is_empty() {
            let detail = "a reply is being told: wait for its end";
            return self.say(self.dialect.trouble("reply_in_progress", detail, About::default()));
        }
        self.working = Some(self.asker().chat(message, session.id));
    }

    fn asker(&self) -> Asker {
        Asker {
            services: self.services.clone(),
            actor: self.access.actor.clone(),
            room: self.room.as_ref().map(|room| room.id),
        }
    }

    fn answer(&mut self, answer: Result<Answer, Refusal>) {
        match answer {
            Ok(Answer::Done) => {}
            Ok(Answer::Say(frame)) => self.say(frame),
            Ok(Answer::Begun(begun)) => {
                let generation = begun.generation.id;
                if let Some(room) = &mut self.room {
                    room.asked(begun.question.id);
                    room.tells(generation);
                }
                // A question that was sent again: its reply is being told.
                if !self.following.has(generation) {
                    self.following.follow(generation, begun.generation.conversation, begun.events);
                }
            }
            Ok(Answer::Chatting { session, persona, begun }) => {
                self.dialect = Dialect::Plain(Chat { id: Some(session), persona });
                let Begun { generation, events, .. } = *begun;
                self.following.follow(generation.id, generation.conversation, events);
            }
            Ok(Answer::Entered { actor, frame }) => {
                self.access.actor = *actor;
                self.say(frame);
            }
            Ok(Answer::Follow { generation, conversation, events }) => {
                if let Some(room) = &mut self.room {
                    room.tells(generation);
                }
                self.following.follow(generation, conversation, events);
            }
            Ok(Answer::Stopped { generation, conversation, end }) => {
                if !self.following.has(generation) {
                    self.following.follow(generation, conversation, end);
                }
            }
            Ok(Answer::Authenticated(access)) => {
                self.signed_out = self.services.access.ended(access.actor.clone());
                let time_left = self.services.access.time_left(&access);
                self.access = access;
                self.clocks.authenticated(time_left);
                self.say(frames::authenticated(time_left));
            }
            Ok(Answer::Ended(conversation)) => {
                if let Some(room) = self.room.as_mut().filter(|room| room.id == conversation) {
                    room.ended();
                }
                self.say(frames::conversation_ended(conversation));
            }
            Err(Refusal { error, about }) => {
                if let ApiError::App(error) = &error {
                    self.services.trail.refused(&self.access.actor, error, "WebSocket");
                }
                self.say(self.dialect.refusal(&error, about));
            }
        }
    }

    fn tell(&mut self, next: &Next) {
        if let Some(frame) = self.dialect.told(next) {
            self.say(frame);
        }
    }

    fn relay(&mut self, news: News) -> Step {
        match news {
            News::Nothing => {}
            News::Say(frame) => self.say(frame),
            News::Follow(generation) if self.following.has(generation) => {}
            News::Follow(generation) => {
                let generation_id = Some(generation.to_string());
                let resume = Resume { generation_id, after: 0, ended: false };
                self.working = Some(self.asker().resume(resume));
            }
            News::Over(closing) => return Break(closing),
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
