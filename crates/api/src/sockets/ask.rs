//! Doing what a client's frame asks for, beside everything else that the socket does.

use std::future::ready;

use bytes::Bytes;
use futures::{StreamExt, future::LocalBoxFuture};
use repartee_application::{
    Actor, AppError,
    accounts::Access,
    ports::{EventStream, LimitClass},
    replies::{Begun, NewMessage, ReplyOptions},
};
use repartee_domain::{
    ConversationId, GenerationId, accounts::Role, conversations::ConversationChanges,
};
use secrecy::ExposeSecret;
use uuid::Uuid;

use super::{
    frames,
    incoming::{Authenticate, Cancel, EndConversation, Resume, SendMessage, StartConversation},
    services::SocketServices,
};
use crate::{ApiError, conversations::reference, idempotency, replies::generation_id};

/// What came of a frame.
pub(super) enum Answer {
    /// All is told already.
    Done,
    Say(Bytes),
    Begun(Box<Begun>),
    /// A reply in the plain frames.
    Chatting {
        session: Uuid,
        persona: Option<i64>,
        begun: Box<Begun>,
    },
    /// A guest has a conversation now.
    Entered {
        actor: Box<Actor>,
        frame: Bytes,
    },
    Follow {
        generation: GenerationId,
        conversation: ConversationId,
        events: EventStream,
    },
    /// The end of a reply that was not followed when it was to stop.
    Stopped {
        generation: GenerationId,
        conversation: ConversationId,
        end: EventStream,
    },
    Authenticated(Access),
    Ended(ConversationId),
}

/// A frame that was refused, and what it was about.
pub(super) struct Refusal {
    pub(super) error: ApiError,
    pub(super) about: About,
}

#[derive(Default, Clone)]
pub(super) struct About {
    pub(super) conversation: Option<String>,
    pub(super) generation: Option<String>,
}

pub(super) type Work = LocalBoxFuture<'static, Result<Answer, Refusal>>;

/// Who asks, whom, and where what names no conversation goes.
#[derive(Clone)]
pub(super) struct Asker {
    pub(super) services: SocketServices,
    pub(super) actor: Actor,
    pub(super) room: Option<ConversationId>,
}

impl Asker {
    /// What a client asks for counts as a request does, but for stopping a reply, which costs less
    /// than it saves, and for what keeps the socket open.
    pub(super) async fn admit(&self) -> Result<(), AppError> {
        self.services.limits.admit(LimitClass::Requests, &self.actor).await.admitted()
    }

    pub(super) fn start(self, start: StartConversation) -> Work {
        if self.actor.role == Role::Guest {
            return self.start_as_guest(start);
        }
        Box::pin(async move {
            let started = async {
                let about = ConversationChanges::try_from(start.about)?;
                self.admit().await?;
                Ok(self.services.conversations.create(&self.actor, about, None).await?)
            };
            let about = About::default();
            let started = started.await.map_err(|error| Refusal { error, about })?;
            Ok(Answer::Say(frames::conversation_started(started, None)))
        })
    }

    pub(super) fn send(self, message: SendMessage) -> Work {
        let about = self.conversation(message.conversation_id.as_deref());
        Box::pin(async move {
            let sent = self.send_to(about.conversation.as_deref(), message).await;
            sent.map(Answer::Begun).map_err(|error| Refusal { error, about })
        })
    }

    async fn send_to(
        &self,
        conversation: Option<&str>,
        message: SendMessage,
    ) -> Result<Box<Begun>, ApiError> {
        self.admit().await?;
        let id = reference(conversation.ok_or_else(|| missing("conversation_id"))?)?;
        let key = match &message.idempotency_key {
            Some(key) => {
                let options = format!("{:?} {:?}", message.temperature, message.max_tokens);
                let model = message.model.as_deref().unwrap_or_default();
                let asked = ["socket", &message.content, model, &options];
                let fingerprint = idempotency::fingerprint(asked.map(str::as_bytes));
                Some(idempotency::parse(key, fingerprint)?)
            }
            None => None,
        };
        let message = NewMessage {
            content: message.content,
            parent: None,
            options: ReplyOptions {
                model: message.model,
                temperature: message.temperature,
                max_tokens: message.max_tokens,
            },
        };
        Ok(Box::new(self.services.replies.send(&self.actor, id, message, key).await?))
    }

    pub(super) fn end(self, frame: EndConversation) -> Work {
        let about = self.conversation(frame.conversation_id.as_deref());
        Box::pin(async move {
            let ended = async {
                self.admit().await?;
                let named = about.conversation.as_deref();
                let id = reference(named.ok_or_else(|| missing("conversation_id"))?)?;
                Ok(self.services.conversations.end(&self.actor, id).await?.id)
            };
            let ended = ended.await;
            ended.map(Answer::Ended).map_err(|error| Refusal { error, about })
        })
    }

    /// Stops a reply. The socket tells its end, whether it follows the reply or not.
    pub(super) fn cancel(self, frame: Cancel, is_followed: bool) -> Work {
        let about = About { generation: frame.generation_id, ..About::default() };
        Box::pin(async move {
            let cancelled = self.cancel_and_tell(about.generation.as_deref(), is_followed).await;
            cancelled.map_err(|error| Refusal { error, about })
        })
    }

    async fn cancel_and_tell(
        &self,
        generation: Option<&str>,
        is_followed: bool,
    ) -> Result<Answer, ApiError> {
        let id = generation_id(generation.ok_or_else(|| missing("generation_id"))?)?;
        let status = self.services.replies.cancel(&self.actor, id).await?;
        if is_followed {
            return Ok(Answer::Done);
        }
        let events = self.services.replies.subscribe(&self.actor, id, 0, false).await?;
        let Some(events) = events else { return Ok(Answer::Done) };
        let end = events.filter(|event| ready(event.kind.is_terminal())).boxed();
        Ok(Answer::Stopped { generation: id, conversation: status.generation.conversation, end })
    }

    pub(super) fn resume(self, frame: Resume) -> Work {
        Box::pin(async move {
            match self.admit().await {
                Ok(()) => self.follow(frame).await,
                Err(error) => {
                    let about = About { generation: frame.generation_id, ..About::default() };
                    Err(Refusal { error: error.into(), about })
                }
            }
        })
    }

    /// As [`Asker::resume`], where nobody asked for it.
    pub(super) fn follow(self, frame: Resume) -> Work {
        let about = About { generation: frame.generation_id, ..About::default() };
        Box::pin(async move {
            let id = about.generation.as_deref();
            let resumed = self.subscribe(id, frame.after, frame.ended).await;
            resumed.map_err(|error| Refusal { error, about })
        })
    }

    async fn subscribe(
        &self,
        generation: Option<&str>,
        after: u64,
        has_read_end: bool,
    ) -> Result<Answer, ApiError> {
        let generation = generation_id(generation.ok_or_else(|| missing("generation_id"))?)?;
        let replies = &self.services.replies;
        let conversation = replies.find(&self.actor, generation).await?.generation.conversation;
        Ok(match replies.subscribe(&self.actor, generation, after, has_read_end).await? {
            Some(events) => Answer::Follow { generation, conversation, events },
            None => Answer::Say(frames::trouble(
                "nothing_to_resume",
                "the reply is over and all of it was read",
                About {
                    conversation: Some(conversation.to_string()),
                    generation: Some(generation.to_string()),
                },
            )),
        })
    }

    pub(super) fn authenticate(self, frame: Authenticate) -> Work {
        Box::pin(async move {
            let access = self
                .services
                .access
                .by_token(frame.token.expose_secret(), self.actor.origin.clone())
                .await;
            let access = access.and_then(|access| {
                // A socket stays whose it is.
                if access.actor.user == self.actor.user {
                    Ok(access)
                } else {
                    Err(AppError::NotYours)
                }
            });
            let about = About::default();
            access
                .map(Answer::Authenticated)
                .map_err(|error| Refusal { error: error.into(), about })
        })
    }

    fn conversation(&self, named: Option<&str>) -> About {
        let room = || self.room.map(|room| room.to_string());
        About { conversation: named.map(str::to_owned).or_else(room), ..About::default() }
    }
}

fn missing(field: &str) -> ApiError {
    ApiError::invalid(field, "required", "must be given")
}
