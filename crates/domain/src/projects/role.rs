//! What a member of a project may do in it.

use std::str::FromStr;

/// In ascending order of power. A project has one owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProjectRole {
    /// Reads, and converses.
    Viewer,
    /// And edits prompts and files.
    Editor,
    /// Everything.
    Owner,
}

/// What somebody does in a project, as far as it matters for who may do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProjectDeed {
    Read,
    /// Its prompts and files.
    Edit,
    /// Renaming and deleting it, and its members.
    Manage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("role must be editor or viewer")]
pub struct UnknownProjectRole;

impl ProjectRole {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Editor => "editor",
            Self::Owner => "owner",
        }
    }

    pub fn may(self, deed: ProjectDeed) -> bool {
        self >= deed.least_role()
    }

    /// A role that a member can be given.
    ///
    /// # Errors
    /// For `owner` as for anything unknown.
    pub fn assignable(text: &str) -> Result<Self, UnknownProjectRole> {
        text.parse().ok().filter(|role| *role != Self::Owner).ok_or(UnknownProjectRole)
    }
}

impl ProjectDeed {
    pub const fn least_role(self) -> ProjectRole {
        match self {
            Self::Read => ProjectRole::Viewer,
            Self::Edit => ProjectRole::Editor,
            Self::Manage => ProjectRole::Owner,
        }
    }
}

impl FromStr for ProjectRole {
    type Err = UnknownProjectRole;

    fn from_str(text: &str) -> Result<Self, UnknownProjectRole> {
        match text {
            "viewer" => Ok(Self::Viewer),
            "editor" => Ok(Self::Editor),
            "owner" => Ok(Self::Owner),
            _ => Err(UnknownProjectRole),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ProjectDeed::*, ProjectRole::*, *};

    #[test]
    fn each_may_what_those_below_may_and_more() {
        let allowed = |role: ProjectRole| {
            [Read, Edit, Manage].into_iter().filter(|deed| role.may(*deed)).count()
        };
        assert_eq!([Viewer, Editor, Owner].map(allowed), [1, 2, 3]);
    }

    #[test]
    fn nobody_can_be_made_an_owner() {
        for role in [Viewer, Editor] {
            assert_eq!(ProjectRole::assignable(role.as_str()), Ok(role));
        }
        for text in ["owner", "", "Viewer", "admin"] {
            assert_eq!(ProjectRole::assignable(text), Err(UnknownProjectRole), "{text}");
        }
    }
}
