//! What somebody may do.

use std::str::FromStr;

/// In ascending order of power.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Somebody without an account. Nobody can be given this role.
    Guest,
    User,
    Manager,
    Admin,
}

impl Role {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Guest => "guest",
            Self::User => "user",
            Self::Manager => "manager",
            Self::Admin => "admin",
        }
    }
}

impl Role {
    /// A role that somebody can be given.
    ///
    /// # Errors
    /// For `guest` as for anything unknown.
    pub fn assignable(text: &str) -> Result<Self, UnknownRole> {
        text.parse().ok().filter(|role| *role != Self::Guest).ok_or(UnknownRole)
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        match text {
            "guest" => Ok(Self::Guest),
            "user" => Ok(Self::User),
            "manager" => Ok(Self::Manager),
            "admin" => Ok(Self::Admin),
            _ => Err(UnknownRole),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("role must be user, manager or admin")]
pub struct UnknownRole;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_can_be_made_a_guest() {
        for role in [Role::User, Role::Manager, Role::Admin] {
            assert_eq!(Role::assignable(role.as_str()), Ok(role));
        }
        for text in ["guest", "", "Admin", "root"] {
            assert_eq!(Role::assignable(text), Err(UnknownRole), "{text}");
        }
    }
}
