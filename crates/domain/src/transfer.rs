//! Conversations as files: what is brought from elsewhere, and what a file is called.

mod file_name;
mod order;

use chrono::{DateTime, Utc};

pub use self::{file_name::file_name, order::Place};
use crate::{
    FieldError, Text,
    conversations::{ConversationChanges, ConversationStatus, ConversationStatusName, Subject},
    messages::{MessageRole, MessageStatus},
};

/// Conversations in one file.
pub const MAX_CONVERSATIONS: usize = 10_000;
/// Messages in one conversation of a file.
pub const MAX_MESSAGES: usize = 10_000;
/// Characters in one message of a file: more than one can send, for what a model or another server
/// took has to fit.
const MAX_CONTENT: usize = 1_000_000;

/// A conversation as a file has it. Ids, and what they point at, stay behind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Draft {
    pub about: ConversationChanges,
    pub ended_at: Option<DateTime<Utc>>,
    pub created_at: Option<DateTime<Utc>>,
    pub updated_at: Option<DateTime<Utc>>,
    /// What was said, as it came.
    pub nodes: Vec<Node>,
    /// Where the branch ends that was open last; `None`: with what comes last.
    pub open: Option<usize>,
}

/// A place in the tree of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The place of what it follows. One that isn't there is none.
    pub parent: Option<usize>,
    /// `None`: nothing to keep, but what follows is.
    pub said: Option<Said>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub role: MessageRole,
    pub content: String,
    pub status: MessageStatus,
    /// The model that wrote it.
    pub model: Option<String>,
    pub at: Option<DateTime<Utc>>,
}

/// A conversation that may be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transcript {
    pub subject: Subject,
    pub status: ConversationStatus,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub last_message_at: Option<DateTime<Utc>>,
    /// In the order in which they are stored.
    pub lines: Vec<Line>,
    /// Whether some message is followed by another than the next one.
    pub is_branched: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The place of the line that it follows, which comes before.
    pub follows: Option<usize>,
    pub role: MessageRole,
    pub content: Text,
    pub status: MessageStatus,
    pub model: Option<String>,
    pub at: DateTime<Utc>,
}

impl Draft {
    /// Checks everything, and puts the messages in order: each after the one that it follows,
    /// otherwise as they came, and what was open last at the end. What follows itself begins the
    /// conversation instead.
    ///
    /// Nothing happened after `now` or before 1970; what has no time has that of what came before.
    pub fn into_transcript(self, now: DateTime<Utc>) -> Result<Transcript, FieldError> {
        let Self { about, ended_at, created_at, updated_at, mut nodes, open } = self;
        if nodes.iter().filter(|node| node.said.is_some()).count() > MAX_MESSAGES {
            let detail = format!("must be at most {MAX_MESSAGES}");
            return Err(FieldError::new("messages", "too_many", detail));
        }
        let subject = Subject::default().with(&about);
        let subject = subject.map_err(|mut errors| errors.swap_remove(0))?;
        let possible = |at: DateTime<Utc>| at.clamp(DateTime::UNIX_EPOCH, now);
        let first_said = || nodes.iter().find_map(|node| node.said.as_ref()?.at);
        let created_at = possible(created_at.or_else(first_said).unwrap_or(now));
        let places = order::arrange(&nodes, open);
        let mut lines = Vec::with_capacity(places.len());
        let mut at = created_at;
        for Place { node, follows } in &places {
            let Some(said) = nodes.get_mut(*node).and_then(|node| node.said.take()) else {
                continue;
            };
            at = said.at.map_or(at, possible);
            lines.push(Line::of(said, *follows, at).map_err(|error| FieldError {
                detail: format!("message {}: {}", node + 1, error.detail),
                ..error
            })?);
        }
        let last_message_at = lines.iter().map(|line| line.at).max();
        let last = last_message_at.unwrap_or(created_at);
        let status = match about.status.unwrap_or(ConversationStatusName::Active) {
            ConversationStatusName::Active => ConversationStatus::Active,
            ConversationStatusName::Archived => ConversationStatus::Archived,
            ConversationStatusName::Ended => {
                ConversationStatus::Ended { at: possible(ended_at.unwrap_or(last)) }
            }
        };
        Ok(Transcript {
            subject,
            status,
            created_at,
            updated_at: possible(updated_at.unwrap_or(last)),
            last_message_at,
            is_branched: order::is_branched(&places),
            lines,
        })
    }
}

impl Line {
    fn of(said: Said, follows: Option<usize>, at: DateTime<Utc>) -> Result<Self, FieldError> {
        let Said { role, content, status, model, .. } = said;
        if role == MessageRole::Tool {
            let detail = "must be user, assistant or system";
            return Err(FieldError::new("messages.role", "invalid", detail));
        }
        // A reply that failed says nothing.
        let content = Text::parse_or_empty(content, MAX_CONTENT);
        let model = model.filter(|_| role == MessageRole::Assistant);
        let model = model.map(|model| Text::parse(model, crate::conversations::MAX_MODEL));
        let model = model.transpose().map_err(|error| error.in_field("messages.model"))?;
        Ok(Self {
            follows,
            role,
            content: content.map_err(|error| error.in_field("messages.content"))?,
            // Nobody writes it any more.
            status: match status {
                MessageStatus::Streaming => MessageStatus::Interrupted,
                status => status,
            },
            model: model.map(Text::into_string),
            at,
        })
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    const NOW: DateTime<Utc> = DateTime::from_timestamp_nanos(1_800_000_000_000_000_000);

    fn said(role: MessageRole, content: &str) -> Said {
        let status = MessageStatus::Complete;
        Said { role, content: content.into(), status, model: Some("small".into()), at: None }
    }

    fn draft(said: impl IntoIterator<Item = Said>) -> Draft {
        let chain =
            |(place, said): (usize, Said)| Node { parent: place.checked_sub(1), said: Some(said) };
        let nodes = said.into_iter().enumerate().map(chain).collect();
        Draft { nodes, ..Draft::default() }
    }

    #[test]
    fn times_are_kept_but_for_those_that_cannot_be() {
        let ago = |hours| Some(NOW - TimeDelta::hours(hours));
        let times = [ago(5), None, ago(-5), Some(DateTime::UNIX_EPOCH - TimeDelta::days(1))];
        let draft = draft(times.map(|at| Said { at, ..said(MessageRole::User, "Tea?") }));

        let transcript = draft.into_transcript(NOW).unwrap();

        let expected = [NOW - TimeDelta::hours(5), NOW - TimeDelta::hours(5), NOW];
        let at: Vec<_> = transcript.lines.iter().map(|line| line.at).collect();
        assert_eq!(at, [&expected[..], &[DateTime::UNIX_EPOCH]].concat());
        assert_eq!(transcript.created_at, expected[0]);
        assert_eq!(transcript.last_message_at, Some(NOW));
    }

    #[test]
    fn what_nobody_writes_any_more_was_interrupted() {
        let status = MessageStatus::Streaming;
        let reply = Said { status, ..said(MessageRole::Assistant, "Gre") };
        let question = said(MessageRole::User, "Which?");
        let lines = draft([question, reply]).into_transcript(NOW).unwrap().lines;
        assert_eq!(lines[1].status, MessageStatus::Interrupted);
        assert_eq!(lines[1].model.as_deref(), Some("small"));
        assert_eq!(lines[0].model, None, "no model wrote a question");
    }

    #[test]
    fn a_mistake_names_its_message() {
        for (bad, field, code) in [
            (said(MessageRole::Tool, "42"), "messages.role", "invalid"),
            (said(MessageRole::User, "\0"), "messages.content", "invalid"),
            (said(MessageRole::User, &"x".repeat(1_000_001)), "messages.content", "too_long"),
        ] {
            let draft = draft([said(MessageRole::User, "Tea?"), bad]);
            let error = draft.into_transcript(NOW).unwrap_err();
            assert_eq!((error.field, error.code), (field, code));
            assert!(error.detail.starts_with("message 2: "), "{}", error.detail);
        }
    }

    #[test]
    fn a_conversation_has_only_so_many_messages() {
        let many = |count| draft(vec![said(MessageRole::User, "Tea?"); count]);
        assert_eq!(many(MAX_MESSAGES).into_transcript(NOW).unwrap().lines.len(), MAX_MESSAGES);
        assert_eq!(many(MAX_MESSAGES + 1).into_transcript(NOW).unwrap_err().code, "too_many");
    }

    #[test]
    fn what_has_ended_ended_no_later_than_now() {
        let about = ConversationChanges {
            status: Some(ConversationStatusName::Ended),
            ..ConversationChanges::default()
        };
        let ended_at = Some(NOW + TimeDelta::days(1));
        let draft = Draft { about, ended_at, ..draft([]) };
        let transcript = draft.into_transcript(NOW).unwrap();
        assert_eq!(transcript.status, ConversationStatus::Ended { at: NOW });
    }
}
