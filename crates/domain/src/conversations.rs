//! A conversation between one user and the assistant.

mod title;

use std::str::FromStr;

use chrono::{DateTime, Utc};
use thiserror::Error;

use crate::{
    ConversationCode, ConversationId, FieldError, PersonaId, ProjectId, Text, UserId, Version,
};

pub use self::title::{title_of, title_written};

const MAX_TITLE: usize = 200;
const MAX_SYSTEM_MESSAGE: usize = 32_000;
pub(crate) const MAX_MODEL: usize = 200;
const MAX_METADATA_BYTES: usize = 16 * 1024;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    pub id: ConversationId,
    pub code: ConversationCode,
    pub owner: UserId,
    pub subject: Subject,
    pub status: ConversationStatus,
    /// When the last message was stored; `None` until there is one.
    pub last_message_at: Option<DateTime<Utc>>,
    /// Whether somebody went on from anywhere but its end: then its messages are a tree.
    pub is_branched: bool,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub version: Version,
}

/// What a new message means to the branches of its conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Branching {
    /// There are none: it follows everything that was stored before it, and names no parent.
    Linear,
    /// It makes the first: from now on every message names its parent, those before it too.
    First,
    /// There are some.
    Branched,
}

/// What its owner decides about a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Subject {
    pub title: Option<String>,
    pub system_message: Option<String>,
    /// The model that replies, where a message names none.
    pub model: Option<String>,
    /// A JSON object, kept as text: its meaning is the client's.
    pub metadata: Option<String>,
    pub shape: Shape,
}

/// What shapes the replies in a conversation, beside its own system message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Shape {
    pub persona: Option<PersonaId>,
    pub project: Option<ProjectId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConversationStatus {
    Active,
    /// Over, until it is reconnected.
    Ended {
        at: DateTime<Utc>,
    },
    /// Out of the way, until it is made active again.
    Archived,
}

/// The states without what belongs to them, for lists and changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConversationStatusName {
    Active,
    Ended,
    Archived,
}

/// `None` leaves a field as it is; `Some(None)` empties it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConversationChanges {
    pub title: Option<Option<String>>,
    pub system_message: Option<Option<String>>,
    pub model: Option<Option<String>>,
    pub metadata: Option<Option<String>>,
    pub persona: Option<Option<PersonaId>>,
    pub project: Option<Option<ProjectId>>,
    pub status: Option<ConversationStatusName>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ConversationError {
    #[error("the conversation has ended: reconnect it to go on")]
    Ended,
    #[error("the conversation is archived: set its status to active to go on")]
    Archived,
}

impl Conversation {
    pub fn begin(
        id: ConversationId,
        code: ConversationCode,
        owner: UserId,
        subject: Subject,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            id,
            code,
            owner,
            subject,
            status: ConversationStatus::Active,
            last_message_at: None,
            is_branched: false,
            created_at: now,
            updated_at: now,
            version: Version::FIRST,
        }
    }

    /// What a list orders by: the last message, or the beginning where there is none.
    pub fn last_activity_at(&self) -> DateTime<Utc> {
        self.last_message_at.unwrap_or(self.created_at)
    }

    /// What a message means to it that goes on from its end, or from elsewhere.
    pub fn branching(&self, is_at_end: bool) -> Branching {
        match (self.is_branched, is_at_end) {
            (true, _) => Branching::Branched,
            (false, true) => Branching::Linear,
            (false, false) => Branching::First,
        }
    }

    /// Only an active conversation takes messages.
    pub fn accept_message(&self) -> Result<(), ConversationError> {
        match self.status {
            ConversationStatus::Active => Ok(()),
            ConversationStatus::Ended { .. } => Err(ConversationError::Ended),
            ConversationStatus::Archived => Err(ConversationError::Archived),
        }
    }

    /// Makes the changes, all or none. `false`: there was nothing to change.
    pub fn change(
        &mut self,
        changes: ConversationChanges,
        now: DateTime<Utc>,
    ) -> Result<bool, Vec<FieldError>> {
        let subject = self.subject.with(&changes)?;
        let status = match (changes.status, self.status) {
            (None, status) => status,
            (Some(ConversationStatusName::Active), _) => ConversationStatus::Active,
            (Some(ConversationStatusName::Archived), _) => ConversationStatus::Archived,
            (Some(ConversationStatusName::Ended), ConversationStatus::Ended { at }) => {
                ConversationStatus::Ended { at }
            }
            (Some(ConversationStatusName::Ended), _) => ConversationStatus::Ended { at: now },
        };
        if subject == self.subject && status == self.status {
            return Ok(false);
        }
        self.subject = subject;
        self.status = status;
        self.updated_at = now;
        Ok(true)
    }
}

impl Shape {
    /// Whether nothing does.
    pub fn is_plain(self) -> bool {
        self == Self::default()
    }

    /// What was chosen since a conversation was shaped by `before`.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            persona: self.persona.filter(|_| self.persona != before.persona),
            project: self.project.filter(|_| self.project != before.project),
        }
    }
}

impl Subject {
    /// The subject with the changes made, or everything that is wrong with them.
    pub fn with(&self, changes: &ConversationChanges) -> Result<Self, Vec<FieldError>> {
        let mut errors = Vec::new();
        let mut changed = |field, new: &Option<Option<String>>, old: &Option<String>, max| {
            let Some(new) = new else { return old.clone() };
            let text = new.clone().filter(|text| !text.trim().is_empty())?;
            match Text::parse(text, max) {
                Ok(text) => Some(text.into_string()),
                Err(error) => {
                    errors.push(error.in_field(field));
                    None
                }
            }
        };
        let subject = Self {
            title: changed("title", &changes.title, &self.title, MAX_TITLE),
            system_message: changed(
                "system_message",
                &changes.system_message,
                &self.system_message,
                MAX_SYSTEM_MESSAGE,
            ),
            model: changed("model", &changes.model, &self.model, MAX_MODEL),
            metadata: changed("metadata", &changes.metadata, &self.metadata, MAX_METADATA_BYTES),
            shape: Shape {
                persona: changes.persona.unwrap_or(self.shape.persona),
                project: changes.project.unwrap_or(self.shape.project),
            },
        };
        if errors.is_empty() { Ok(subject) } else { Err(errors) }
    }
}

impl ConversationStatus {
    pub const fn name(self) -> ConversationStatusName {
        match self {
            Self::Active => ConversationStatusName::Active,
            Self::Ended { .. } => ConversationStatusName::Ended,
            Self::Archived => ConversationStatusName::Archived,
        }
    }
}

impl ConversationStatusName {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Ended => "ended",
            Self::Archived => "archived",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be active, ended or archived")]
pub struct UnknownStatus;

impl FromStr for ConversationStatusName {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, UnknownStatus> {
        match text {
            "active" => Ok(Self::Active),
            "ended" => Ok(Self::Ended),
            "archived" => Ok(Self::Archived),
            _ => Err(UnknownStatus),
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use uuid::Uuid;

    use super::*;

    const NOW: DateTime<Utc> = DateTime::from_timestamp_nanos(1_800_000_000_000_000_000);

    fn conversation() -> Conversation {
        Conversation::begin(
            ConversationId::from_uuid(Uuid::from_u128(1)),
            "ABCDEFGHIJ01".parse().unwrap(),
            UserId::from_uuid(Uuid::from_u128(2)),
            Subject { title: Some("Tea".into()), ..Subject::default() },
            NOW,
        )
    }

    fn status(status: ConversationStatusName) -> ConversationChanges {
        ConversationChanges { status: Some(status), ..ConversationChanges::default() }
    }

    #[test]
    fn an_archived_conversation_takes_no_message_until_it_is_active_again() {
        let mut conversation = conversation();
        conversation.change(status(ConversationStatusName::Archived), NOW).unwrap();
        assert_eq!(conversation.accept_message(), Err(ConversationError::Archived));

        conversation.change(status(ConversationStatusName::Active), NOW).unwrap();
        assert_eq!(conversation.accept_message(), Ok(()));
    }

    #[test]
    fn ending_twice_keeps_the_first_instant() {
        let mut conversation = conversation();
        assert!(conversation.change(status(ConversationStatusName::Ended), NOW).unwrap());

        let later = NOW + TimeDelta::hours(1);
        assert!(!conversation.change(status(ConversationStatusName::Ended), later).unwrap());

        assert_eq!(conversation.status, ConversationStatus::Ended { at: NOW });
        assert_eq!(conversation.accept_message(), Err(ConversationError::Ended));
    }

    #[test]
    fn a_bad_change_leaves_everything_as_it_was() {
        let mut conversation = conversation();
        let changes = ConversationChanges {
            title: Some(Some("t".repeat(201))),
            status: Some(ConversationStatusName::Archived),
            ..ConversationChanges::default()
        };

        let errors = conversation.change(changes, NOW).unwrap_err();

        assert_eq!((errors[0].field, errors[0].code), ("title", "too_long"));
        assert_eq!(conversation.status, ConversationStatus::Active);
    }

    #[test]
    fn only_the_first_that_goes_on_from_elsewhere_makes_it_a_tree() {
        let mut conversation = conversation();
        assert_eq!(conversation.branching(true), Branching::Linear);
        assert_eq!(conversation.branching(false), Branching::First);
        conversation.is_branched = true;
        assert_eq!(conversation.branching(true), Branching::Branched);
        assert_eq!(conversation.branching(false), Branching::Branched);
    }

    #[test]
    fn a_persona_is_chosen_kept_and_let_go() {
        let mut conversation = conversation();
        let change = |persona| ConversationChanges { persona, ..ConversationChanges::default() };
        let chosen = Some(PersonaId::new(4));
        for (persona, expected) in [(Some(chosen), chosen), (None, chosen), (Some(None), None)] {
            let is_changed = conversation.change(change(persona), NOW).unwrap();
            assert_eq!(conversation.subject.shape.persona, expected);
            assert_eq!(is_changed, persona.is_some());
            let since = conversation.subject.shape.since(Shape { persona: chosen, project: None });
            assert!(since.is_plain(), "there is nothing new in it");
        }
    }

    #[test]
    fn an_empty_title_is_no_title() {
        let mut conversation = conversation();
        let changes =
            ConversationChanges { title: Some(Some(" ".into())), ..ConversationChanges::default() };
        assert!(conversation.change(changes, NOW).unwrap());
        assert_eq!(conversation.subject.title, None);
    }
}
