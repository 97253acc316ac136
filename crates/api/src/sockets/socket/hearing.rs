//! What a client says.

use std::ops::ControlFlow::{Break, Continue};

use actix_ws::{AggregatedMessage, Message, ProtocolError};

use super::{Socket, Step};
use crate::{
    chat::ChatBody,
    sockets::{
        ask::{About, Asker},
        closing::Closing,
        dialect::Dialect,
        frames,
        incoming::{Frame, Unreadable},
        plain,
    },
};

/// Bytes of a message from the client.
const MOST_BYTES: usize = 64 * 1024;
const MOST_MALFORMED: u8 = 5;

impl Socket {
    pub(super) fn hear(
        &mut self,
        message: Option<Result<AggregatedMessage, ProtocolError>>,
    ) -> Step {
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

    pub(super) fn asker(&self) -> Asker {
        Asker {
            services: self.services.clone(),
            actor: self.access.actor.clone(),
            room: self.room.as_ref().map(|room| room.id),
        }
    }
}
