//! Personas: whom the assistant can be.

use chrono::{DateTime, Utc};

use crate::{FieldError, PersonaId, Text, Version};

const MAX_NAME: usize = 100;
const MAX_SYSTEM_PROMPT: usize = 32_000;
const MAX_EXPERTISE: usize = 500;
const MAX_DESCRIPTION: usize = 2_000;
/// An emoji, a name or an address.
const MAX_ICON: usize = 500;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Persona {
    pub id: PersonaId,
    pub character: Character,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub version: Version,
}

/// What whoever edits the catalogue decides about a persona.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Character {
    /// Unique in the catalogue.
    pub name: String,
    /// A part of the system message of each conversation with it.
    pub system_prompt: String,
    pub expertise: Option<String>,
    pub description: Option<String>,
    pub icon: Option<String>,
    /// Whether new conversations may choose it. Those that did keep it.
    pub is_active: bool,
}

/// `None` leaves a field as it is; `Some(None)` empties it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CharacterChanges {
    pub name: Option<String>,
    pub system_prompt: Option<String>,
    pub expertise: Option<Option<String>>,
    pub description: Option<Option<String>>,
    pub icon: Option<Option<String>>,
    pub is_active: Option<bool>,
}

impl Persona {
    /// Makes the changes, all or none. `false`: there was nothing to change.
    pub fn change(
        &mut self,
        changes: CharacterChanges,
        now: DateTime<Utc>,
    ) -> Result<bool, Vec<FieldError>> {
        let character = self.character.with(changes)?;
        if character == self.character {
            return Ok(false);
        }
        self.character = character;
        self.updated_at = now;
        Ok(true)
    }
}

impl Character {
    /// A new one, active unless it says otherwise, or everything that is wrong with it.
    pub fn make(wish: CharacterChanges) -> Result<Self, Vec<FieldError>> {
        let nothing = Self {
            name: String::new(),
            system_prompt: String::new(),
            expertise: None,
            description: None,
            icon: None,
            is_active: true,
        };
        // What has to be there is refused as empty.
        nothing.with(CharacterChanges {
            name: Some(wish.name.unwrap_or_default()),
            system_prompt: Some(wish.system_prompt.unwrap_or_default()),
            ..wish
        })
    }

    /// The names of the fields that another character has otherwise.
    pub fn differing(&self, other: &Self) -> Vec<&'static str> {
        let fields = [
            ("name", self.name != other.name),
            ("system_prompt", self.system_prompt != other.system_prompt),
            ("expertise", self.expertise != other.expertise),
            ("description", self.description != other.description),
            ("icon", self.icon != other.icon),
            ("is_active", self.is_active != other.is_active),
        ];
        fields.into_iter().filter_map(|(name, differs)| differs.then_some(name)).collect()
    }

    fn with(&self, changes: CharacterChanges) -> Result<Self, Vec<FieldError>> {
        let mut errors = Vec::new();
        let mut parse = |field, text: String, max| match Text::parse(text, max) {
            Ok(text) => Some(text.into_string()),
            Err(error) => {
                errors.push(error.in_field(field));
                None
            }
        };
        let mut required = |field, new: Option<String>, old: &String, max| match new {
            Some(text) => parse(field, text, max).unwrap_or_default(),
            None => old.clone(),
        };
        let name = required("name", changes.name, &self.name, MAX_NAME);
        let system_prompt = required(
            "system_prompt",
            changes.system_prompt,
            &self.system_prompt,
            MAX_SYSTEM_PROMPT,
        );
        let mut optional = |field, new: Option<Option<String>>, old: &Option<String>, max| {
            let Some(new) = new else { return old.clone() };
            parse(field, new.filter(|text| !text.trim().is_empty())?, max)
        };
        let character = Self {
            name,
            system_prompt,
            expertise: optional("expertise", changes.expertise, &self.expertise, MAX_EXPERTISE),
            description: optional(
                "description",
                changes.description,
                &self.description,
                MAX_DESCRIPTION,
            ),
            icon: optional("icon", changes.icon, &self.icon, MAX_ICON),
            is_active: changes.is_active.unwrap_or(self.is_active),
        };
        if errors.is_empty() { Ok(character) } else { Err(errors) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pirate() -> CharacterChanges {
        CharacterChanges {
            name: Some("Pirate".into()),
            system_prompt: Some("Talk like a pirate.".into()),
            icon: Some(Some("🏴‍☠️".into())),
            ..CharacterChanges::default()
        }
    }

    #[test]
    fn a_new_persona_is_active_and_has_a_name_and_a_prompt() {
        let made = Character::make(pirate()).unwrap();
        assert_eq!((made.name.as_str(), made.is_active), ("Pirate", true));
        assert_eq!(made.icon.as_deref(), Some("🏴‍☠️"));

        let errors = Character::make(CharacterChanges::default()).unwrap_err();
        let errors: Vec<_> = errors.iter().map(|error| (error.field, error.code)).collect();
        assert_eq!(errors, [("name", "required"), ("system_prompt", "required")]);
    }

    #[test]
    fn a_change_leaves_what_it_does_not_name_and_empties_what_is_null() {
        let made = Character::make(pirate()).unwrap();
        let changes = CharacterChanges {
            system_prompt: Some("Arr.".into()),
            icon: Some(None),
            is_active: Some(false),
            ..CharacterChanges::default()
        };
        let changed = made.with(changes).unwrap();
        assert_eq!((changed.name.as_str(), changed.icon.as_deref()), ("Pirate", None));
        assert_eq!(made.differing(&changed), ["system_prompt", "icon", "is_active"]);
        assert_eq!(made.with(CharacterChanges::default()), Ok(made));
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let long = |length| Some(Some("x".repeat(length)));
        let changes = CharacterChanges {
            name: Some(" ".into()),
            system_prompt: Some("p".repeat(MAX_SYSTEM_PROMPT + 1)),
            expertise: long(MAX_EXPERTISE + 1),
            description: long(MAX_DESCRIPTION),
            icon: Some(Some("\0".into())),
            is_active: None,
        };
        let errors = Character::make(pirate()).unwrap().with(changes).unwrap_err();
        let fields: Vec<_> = errors.iter().map(|error| error.field).collect();
        assert_eq!(fields, ["name", "system_prompt", "expertise", "icon"]);
    }
}
