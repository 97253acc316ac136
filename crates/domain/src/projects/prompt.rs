//! A prompt of a project: a part of the system message of its conversations.

use chrono::{DateTime, Utc};

use crate::{FieldError, ProjectId, PromptId, Text, UserId, Version};

const MAX_NAME: usize = 200;
const MAX_CONTENT: usize = 32_000;
const MAX_POSITION: u32 = 1_000_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    pub id: PromptId,
    pub project: ProjectId,
    pub text: PromptText,
    /// Prompts come in the order of their positions; of two with the same the older comes first.
    pub position: u32,
    /// Whether conversations see it.
    pub is_active: bool,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub version: Version,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PromptText {
    pub name: Option<String>,
    pub content: String,
}

/// What a prompt said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptVersion {
    pub version: Version,
    pub text: PromptText,
    /// Who wrote it; `None` where they were deleted since.
    pub changed_by: Option<UserId>,
    pub at: DateTime<Utc>,
}

/// `None` leaves a field as it is; `Some(None)` empties it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PromptChanges {
    pub name: Option<Option<String>>,
    pub content: Option<String>,
    pub position: Option<u32>,
    pub is_active: Option<bool>,
}

impl Prompt {
    /// Makes the changes, all or none. `false`: there was nothing to change.
    pub fn change(
        &mut self,
        changes: PromptChanges,
        now: DateTime<Utc>,
    ) -> Result<bool, Vec<FieldError>> {
        let text = self.text.with(&changes)?;
        let position = changes.position.unwrap_or(self.position);
        let is_active = changes.is_active.unwrap_or(self.is_active);
        if text == self.text && position == self.position && is_active == self.is_active {
            return Ok(false);
        }
        *self = Self { text, position, is_active, updated_at: now, ..self.clone() };
        Ok(true)
    }
}

impl PromptText {
    /// What a new prompt says, or everything that is wrong with it.
    pub fn make(wish: &PromptChanges) -> Result<Self, Vec<FieldError>> {
        // Without a content it is refused.
        let content = Some(wish.content.clone().unwrap_or_default());
        Self::default().with(&PromptChanges { content, ..wish.clone() })
    }

    fn with(&self, changes: &PromptChanges) -> Result<Self, Vec<FieldError>> {
        let mut errors = Vec::new();
        let mut text = self.clone();
        if let Some(new) = &changes.name {
            let new = new.clone().filter(|name| !name.trim().is_empty());
            match new.map(|name| Text::parse(name, MAX_NAME)).transpose() {
                Ok(name) => text.name = name.map(Text::into_string),
                Err(error) => errors.push(error.in_field("name")),
            }
        }
        if let Some(content) = &changes.content {
            match Text::parse(content.clone(), MAX_CONTENT) {
                Ok(content) => text.content = content.into_string(),
                Err(error) => errors.push(error.in_field("content")),
            }
        }
        if changes.position.is_some_and(|position| position > MAX_POSITION) {
            let detail = format!("must be from 0 to {MAX_POSITION}");
            errors.push(FieldError::new("position", "out_of_range", detail));
        }
        if errors.is_empty() { Ok(text) } else { Err(errors) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompt() -> Prompt {
        let content = Some("Talk of tea.".to_owned());
        let wish = PromptChanges { content, ..PromptChanges::default() };
        Prompt {
            id: PromptId::new(1),
            project: ProjectId::new(1),
            text: PromptText::make(&wish).unwrap(),
            position: 1,
            is_active: true,
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
            version: Version::FIRST,
        }
    }

    #[test]
    fn a_change_leaves_what_it_does_not_name() {
        let mut changed = prompt();
        let off = PromptChanges { is_active: Some(false), ..PromptChanges::default() };
        assert!(changed.change(off.clone(), DateTime::UNIX_EPOCH).unwrap());
        assert_eq!(changed, Prompt { is_active: false, ..prompt() });
        assert!(!changed.change(off, DateTime::UNIX_EPOCH).unwrap());
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once_and_nothing_is_changed() {
        let changes = PromptChanges {
            name: Some(Some("x".repeat(MAX_NAME + 1))),
            content: Some(" ".into()),
            position: Some(MAX_POSITION + 1),
            is_active: Some(false),
        };
        let mut changed = prompt();
        let errors = changed.change(changes, DateTime::UNIX_EPOCH).unwrap_err();
        let fields: Vec<_> = errors.iter().map(|error| error.field).collect();
        assert_eq!(fields, ["name", "content", "position"]);
        assert_eq!(changed, prompt());
    }
}
