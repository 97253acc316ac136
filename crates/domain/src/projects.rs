//! Projects: workspaces with prompts and members.

mod prompt;
mod role;

use chrono::{DateTime, Utc};

pub use self::{
    prompt::{Prompt, PromptChanges, PromptText, PromptVersion},
    role::{ProjectDeed, ProjectRole, UnknownProjectRole},
};
use crate::{FieldError, ProjectId, Text, UserId, Version};

const MAX_NAME: usize = 200;
const MAX_DESCRIPTION: usize = 2_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    pub id: ProjectId,
    pub owner: UserId,
    pub purpose: Purpose,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub version: Version,
}

/// What its owner says of a project.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Purpose {
    pub name: String,
    pub description: Option<String>,
}

/// `None` leaves a field as it is; `Some(None)` empties it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PurposeChanges {
    pub name: Option<String>,
    pub description: Option<Option<String>>,
}

impl Project {
    /// Makes the changes, all or none. `false`: there was nothing to change.
    pub fn change(
        &mut self,
        changes: PurposeChanges,
        now: DateTime<Utc>,
    ) -> Result<bool, Vec<FieldError>> {
        let purpose = self.purpose.with(changes)?;
        if purpose == self.purpose {
            return Ok(false);
        }
        self.purpose = purpose;
        self.updated_at = now;
        Ok(true)
    }
}

impl Purpose {
    /// A new one, or everything that is wrong with it.
    pub fn make(wish: PurposeChanges) -> Result<Self, Vec<FieldError>> {
        // Without a name it is refused.
        let name = Some(wish.name.unwrap_or_default());
        Self::default().with(PurposeChanges { name, ..wish })
    }

    fn with(&self, changes: PurposeChanges) -> Result<Self, Vec<FieldError>> {
        let mut errors = Vec::new();
        let mut purpose = self.clone();
        if let Some(name) = changes.name {
            match Text::parse(name, MAX_NAME) {
                Ok(name) => purpose.name = name.into_string(),
                Err(error) => errors.push(error.in_field("name")),
            }
        }
        if let Some(new) = changes.description {
            let new = new.filter(|text| !text.trim().is_empty());
            match new.map(|text| Text::parse(text, MAX_DESCRIPTION)).transpose() {
                Ok(text) => purpose.description = text.map(Text::into_string),
                Err(error) => errors.push(error.in_field("description")),
            }
        }
        if errors.is_empty() { Ok(purpose) } else { Err(errors) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(name: &str, description: &str) -> PurposeChanges {
        PurposeChanges { name: Some(name.into()), description: Some(Some(description.into())) }
    }

    #[test]
    fn a_project_has_a_name_and_may_have_a_description() {
        let made = Purpose::make(wish("Tea", " ")).unwrap();
        assert_eq!((made.name.as_str(), made.description.as_deref()), ("Tea", None));
        let nameless = Purpose::make(PurposeChanges::default()).unwrap_err();
        assert_eq!((nameless[0].field, nameless[0].code), ("name", "required"));
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let errors = Purpose::make(wish(&"x".repeat(201), &"x".repeat(2_001))).unwrap_err();
        let fields: Vec<_> = errors.iter().map(|error| error.field).collect();
        assert_eq!(fields, ["name", "description"]);
    }
}
