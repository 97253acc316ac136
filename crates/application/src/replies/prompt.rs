//! What a model gets to see of a conversation.

use repartee_domain::{
    conversations::Conversation,
    messages::MessageRole,
    replies::{ContextWindow, Turn},
};

use super::Shared;
use crate::{
    AppError,
    models::Model,
    ports::{History, HistoryFrom, PastMessage},
};

/// Messages read at a time. Most conversations fit into one page.
const PAGE: u32 = 64;
/// The most messages that a model is shown, however short they are.
const MOST_MESSAGES: usize = 2_000;
/// Reading stops when what was read has so many bytes for each token that fits: twice of what
/// English comes to.
const BYTES_PER_TOKEN: usize = 8;

/// What a model is shown, and how much of the conversation that takes in.
#[derive(Default)]
pub(super) struct Prompt {
    pub(super) turns: Vec<Turn>,
    pub(super) seen: u64,
}

impl Shared {
    /// System message, as much of the history as fits, newest first, and the question. The history
    /// is what was said up to `past`; nothing, where it is `None`.
    pub(super) async fn prompt(
        &self,
        conversation: &Conversation,
        question: &str,
        past: Option<HistoryFrom>,
        models: &[Model],
    ) -> Result<Prompt, AppError> {
        let Some(model) = models.iter().min_by_key(|model| model.window.prompt_tokens()) else {
            return Ok(Prompt::default());
        };
        let system = self.system_message(conversation).await?;
        // Newest first, the question at the head.
        let mut turns = vec![Turn { role: MessageRole::User, content: question.to_owned() }];
        let seen = self.load_history(conversation, past, model.window, &mut turns).await?;
        let bytes = system.len() + turns.iter().map(|turn| turn.content.len()).sum::<usize>();
        if !model.window.surely_fits(bytes, turns.len()) {
            let fit = self.count_fitting(model, &system, &turns).await;
            turns.truncate(fit);
        }
        turns.push(Turn { role: MessageRole::System, content: system });
        turns.reverse();
        Ok(Prompt { turns, seen })
    }

    /// One system message: the operator's, what shapes the conversation, then its own; a default
    /// where there is none. What nothing shapes is not asked for.
    async fn system_message(&self, conversation: &Conversation) -> Result<String, AppError> {
        let subject = &conversation.subject;
        let shaping = if subject.shape.is_plain() {
            Vec::new()
        } else {
            self.ports.shapes.prompts(conversation.owner, subject.shape).await?
        };
        let operator = self.rules.operator_message.as_deref();
        let parts = operator.into_iter().chain(shaping.iter().map(String::as_str));
        let parts: Vec<_> = parts.chain(subject.system_message.as_deref()).collect();
        let default = || self.rules.default_message.clone();
        Ok(if parts.is_empty() { default() } else { parts.join("\n\n") })
    }

    /// Gives how much is seen: what the first of several reads shows.
    async fn load_history(
        &self,
        conversation: &Conversation,
        past: Option<HistoryFrom>,
        window: ContextWindow,
        turns: &mut Vec<Turn>,
    ) -> Result<u64, AppError> {
        let Some(mut from) = past.filter(|_| conversation.last_message_at.is_some()) else {
            return Ok(0);
        };
        let mut bytes = 0;
        let mut first = None;
        loop {
            let History { messages: page, seen } =
                self.ports.turns.history(conversation.owner, conversation.id, from, PAGE).await?;
            let seen = *first.get_or_insert(seen);
            let is_last = page.len() < PAGE as usize;
            if let Some(oldest) = page.last() {
                from = HistoryFrom::Before(oldest.id);
            }
            for message in page.into_iter().filter(is_shown) {
                bytes += message.content.len();
                turns.push(Turn { role: message.role, content: message.content });
            }
            let is_enough = bytes > window.prompt_tokens().saturating_mul(BYTES_PER_TOKEN)
                || turns.len() >= MOST_MESSAGES;
            if is_last || is_enough {
                return Ok(seen);
            }
        }
    }

    async fn count_fitting(&self, model: &Model, system: &str, turns: &[Turn]) -> usize {
        let mut texts = vec![system.to_owned()];
        texts.extend(turns.iter().map(|turn| turn.content.clone()));
        let counts = match model.provider.count_tokens(&model.upstream, texts).await {
            Ok(counts) => counts,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "cannot count tokens");
                // A byte a token is more than any text has: too little history, never too much.
                [system.len()].into_iter().chain(turns.iter().map(|t| t.content.len())).collect()
            }
        };
        let (system, sizes) = counts.split_first().unwrap_or((&0, &[]));
        let is_question = |at: usize| turns.get(at).is_some_and(|t| t.role == MessageRole::User);
        model.window.newest_that_fit(*system, sizes, is_question)
    }
}

/// What was said by either side. An empty reply says nothing, and there is one system message.
fn is_shown(message: &PastMessage) -> bool {
    matches!(message.role, MessageRole::User | MessageRole::Assistant)
        && !message.content.trim().is_empty()
}
