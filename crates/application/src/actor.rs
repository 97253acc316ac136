//! Who is asking.

use repartee_domain::{LoginSessionId, UserId, accounts::Role};

/// Somebody whose token was found good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Actor {
    pub user: UserId,
    pub role: Role,
    pub session: LoginSessionId,
}
