//! What came of a frame, what comes of replies, and what other devices do.

use std::ops::ControlFlow::{Break, Continue};

use repartee_application::replies::Begun;

use super::{Socket, Step};
use crate::{
    ApiError,
    sockets::{
        ask::{Answer, Refusal},
        dialect::{Dialect, Session as Chat},
        following::Next,
        frames,
        incoming::Resume,
        room::News,
    },
};

impl Socket {
    pub(super) fn answer(&mut self, answer: Result<Answer, Refusal>) {
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

    pub(super) fn tell(&mut self, next: &Next) {
        if let Some(frame) = self.dialect.told(next) {
            self.say(frame);
        }
    }

    pub(super) fn relay(&mut self, news: News) -> Step {
        match news {
            News::Nothing => {}
            News::Say(frame) => self.say(frame),
            News::Follow(generation) if self.following.has(generation) => {}
            News::Follow(generation) => {
                let generation_id = Some(generation.to_string());
                let resume = Resume { generation_id, after: 0, ended: false };
                self.working = Some(self.asker().follow(resume));
            }
            News::Over(closing) => return Break(closing),
        }
        Continue(())
    }
}
