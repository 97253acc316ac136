//! Titles of conversations, written in the background from what was said first.
//!
//! A conversation that somebody gave a title keeps it. Where no model writes one, the question's
//! beginning is the title.

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use repartee_domain::{
    ConversationId,
    conversations::{Conversation, ConversationChanges, title_of, title_written},
    messages::MessageRole,
    replies::{Failure, Turn},
};
use tokio::{sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    Actor, AppError,
    completions::{CompletionService, NewCompletion, Piece},
    ports::{ChangeKind, Clock, ConversationRepository, PortError, Spawner},
};

const INSTRUCTION: &str = "Write a title for this conversation: at most six words, in its \
    language. Answer with the title alone.";
/// Characters of the question, and of the reply, that a model is shown.
const SHOWN: usize = 1_000;
/// Models that think first need more than a title has.
const MOST_TOKENS: u32 = 256;
/// Bytes of an answer that are read: a title stands at its beginning.
const MOST_BYTES: usize = 2_048;
/// For a model to write one.
const PATIENCE: Duration = Duration::from_mins(1);
/// Titles written at once; more wait.
const AT_ONCE: usize = 8;
/// How often storing is tried while the conversation is being changed.
const MOST_TRIES: u32 = 5;

/// A conversation that had no title when its newest reply began.
#[derive(Debug, Clone)]
pub struct Untitled {
    pub actor: Actor,
    pub conversation: ConversationId,
    /// The model that replied, by its name here; `None` where it is not up to it.
    pub model: Option<String>,
    pub question: String,
    pub reply: String,
}

#[derive(Clone)]
pub struct TitleService {
    completions: CompletionService,
    conversations: Arc<dyn ConversationRepository>,
    clock: Arc<dyn Clock>,
}

impl Untitled {
    /// How much of a text it needs.
    pub(crate) fn excerpt(text: &str) -> String {
        text.chars().take(SHOWN).collect()
    }
}

impl TitleService {
    pub fn new(
        completions: CompletionService,
        conversations: Arc<dyn ConversationRepository>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { completions, conversations, clock }
    }

    /// Writes titles until `stop`.
    pub fn start(
        self,
        untitled: mpsc::Receiver<Untitled>,
        spawner: &dyn Spawner,
        stop: CancellationToken,
    ) {
        let untitled = stream::unfold(untitled, |mut untitled| async move {
            Some((untitled.recv().await?, untitled))
        });
        spawner.spawn(Box::pin(async move {
            let untitled = untitled.take_until(stop.cancelled_owned());
            untitled.for_each_concurrent(AT_ONCE, |untitled| self.entitle(untitled)).await;
        }));
    }

    async fn entitle(&self, untitled: Untitled) {
        if let Err(error) = self.write(&untitled).await {
            tracing::warn!(
                conversation = %untitled.conversation,
                error = &error as &dyn std::error::Error,
                "a conversation gets no title"
            );
        }
    }

    async fn write(&self, untitled: &Untitled) -> Result<(), AppError> {
        if self.untitled(untitled).await?.is_none() {
            return Ok(());
        }
        let written = match &untitled.model {
            Some(model) => match self.ask(model, untitled).await {
                // The next reply tells of it again.
                Err(AppError::ShuttingDown { .. }) => return Ok(()),
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::info!(error, "no model writes a title: the question begins it");
                    None
                }
                Ok(written) => written,
            },
            None => None,
        };
        let Some(title) = written.or_else(|| title_of(&untitled.question)) else { return Ok(()) };
        for _ in 0..MOST_TRIES {
            let Some(mut conversation) = self.untitled(untitled).await? else { return Ok(()) };
            let changes = ConversationChanges {
                title: Some(Some(title.clone())),
                ..ConversationChanges::default()
            };
            let now = self.clock.now();
            conversation.change(changes, now).map_err(AppError::Invalid)?;
            match self.conversations.save(conversation, ChangeKind::ConversationUpdated).await {
                // Something else of it was changed meanwhile.
                Err(PortError::Stale) => {}
                saved => return Ok(saved.map(drop)?),
            }
        }
        Err(PortError::Stale.into())
    }

    /// The conversation, while it is there and has no title.
    async fn untitled(&self, untitled: &Untitled) -> Result<Option<Conversation>, AppError> {
        let Untitled { actor, conversation, .. } = untitled;
        let found = self.conversations.find(actor.user, (*conversation).into()).await?;
        Ok(found.filter(|conversation| conversation.subject.title.is_none()))
    }

    /// What a model writes; `None` where it writes none.
    async fn ask(&self, model: &str, untitled: &Untitled) -> Result<Option<String>, AppError> {
        let Untitled { actor, question, reply, .. } = untitled;
        let turn = |role, content| Turn { role, content };
        let shown = format!("Question:\n{question}\n\nAnswer:\n{reply}");
        let wish = NewCompletion {
            model: model.to_owned(),
            turns: vec![
                turn(MessageRole::System, INSTRUCTION.to_owned()),
                turn(MessageRole::User, shown),
            ],
            max_tokens: Some(MOST_TOKENS),
            is_aside: true,
            ..NewCompletion::default()
        };
        let written = timeout(PATIENCE, self.read(actor, wish)).await;
        Ok(title_written(&written.map_err(|_| AppError::Reply(Failure::TotalTimeout))??))
    }

    async fn read(&self, actor: &Actor, wish: NewCompletion) -> Result<String, AppError> {
        let mut completion = self.completions.begin(actor, wish).await?;
        let mut text = String::new();
        while let Some(piece) = completion.pieces.next().await {
            if let Piece::Text(piece) = piece? {
                text.push_str(&piece);
            }
            if text.len() > MOST_BYTES {
                break;
            }
        }
        Ok(text)
    }
}
