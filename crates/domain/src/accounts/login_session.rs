//! Signed-in devices and the refresh tokens that keep them so.

use chrono::{DateTime, TimeDelta, Utc};

use crate::{LoginSessionId, RefreshTokenId, UserId};

/// How old a spent token's successor may be for the reuse to be a race of two tabs, not a theft.
const RACE: TimeDelta = TimeDelta::seconds(10);

/// SHA-256 of a refresh token. The token itself is never stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RefreshTokenHash(pub [u8; 32]);

/// How long a login session lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLifetime {
    /// From one use to the next.
    pub idle: TimeDelta,
    /// From log-in, however often it is used.
    pub absolute: TimeDelta,
}

/// One refresh token in the chain of a login session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginSession {
    pub id: LoginSessionId,
    pub token: RefreshTokenId,
    pub user: UserId,
    pub token_hash: RefreshTokenHash,
    pub user_agent: Option<String>,
    pub ip: Option<String>,
    /// When the user logged in; every token of the chain carries it on.
    pub signed_in_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    pub created_at: DateTime<Utc>,
}

/// What presenting a refresh token means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshTokenState {
    /// Good for one use.
    Current,
    /// Too late, or its session was ended.
    Expired,
    /// Spent a moment ago and its successor is unused: two requests raced, nothing is wrong.
    Raced,
    /// Spent earlier: somebody holds a copy. The whole session has to end.
    Reused,
}

impl LoginSession {
    pub fn open(
        id: LoginSessionId,
        token: RefreshTokenId,
        user: UserId,
        token_hash: RefreshTokenHash,
        lifetime: SessionLifetime,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            id,
            token,
            user,
            token_hash,
            user_agent: None,
            ip: None,
            signed_in_at: now,
            expires_at: now + lifetime.idle.min(lifetime.absolute),
            created_at: now,
        }
    }

    /// The next token of the same session. Never outlives the session's absolute end.
    #[must_use]
    pub fn rotate(
        &self,
        token: RefreshTokenId,
        token_hash: RefreshTokenHash,
        lifetime: SessionLifetime,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            token,
            token_hash,
            expires_at: (now + lifetime.idle).min(self.signed_in_at + lifetime.absolute),
            created_at: now,
            ..self.clone()
        }
    }
}

impl RefreshTokenState {
    /// `rotated_at` is when the token was spent, `successor_used` whether the token that replaced
    /// it was spent as well.
    pub fn of(
        expires_at: DateTime<Utc>,
        revoked: bool,
        rotated_at: Option<DateTime<Utc>>,
        successor_used: bool,
        now: DateTime<Utc>,
    ) -> Self {
        match rotated_at {
            _ if revoked => Self::Expired,
            Some(at) if !successor_used && now - at < RACE => Self::Raced,
            // Also where it ran out meanwhile: the session that went on from it may be in use.
            Some(_) => Self::Reused,
            None if expires_at <= now => Self::Expired,
            None => Self::Current,
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const NOW: DateTime<Utc> = DateTime::from_timestamp_nanos(1_800_000_000_000_000_000);
    const LIFETIME: SessionLifetime =
        SessionLifetime { idle: TimeDelta::days(7), absolute: TimeDelta::days(30) };

    fn session() -> LoginSession {
        LoginSession::open(
            LoginSessionId::from_uuid(Uuid::from_u128(1)),
            RefreshTokenId::from_uuid(Uuid::from_u128(2)),
            UserId::from_uuid(Uuid::from_u128(3)),
            RefreshTokenHash([0; 32]),
            LIFETIME,
            NOW,
        )
    }

    #[test]
    fn a_session_in_use_still_ends_thirty_days_after_logging_in() {
        let mut session = session();
        for day in 1..=29 {
            let next = RefreshTokenId::from_uuid(Uuid::from_u128(2 + day));
            session = session.rotate(
                next,
                RefreshTokenHash([1; 32]),
                LIFETIME,
                NOW + TimeDelta::days(i64::try_from(day).unwrap()),
            );
        }
        assert_eq!(session.expires_at, NOW + TimeDelta::days(30));
    }

    #[test]
    fn a_spent_token_is_a_race_for_ten_seconds_and_a_theft_afterwards() {
        let later = NOW + TimeDelta::days(1);
        let state = |rotated, used, now| RefreshTokenState::of(later, false, rotated, used, now);

        assert_eq!(state(None, false, NOW), RefreshTokenState::Current);
        assert_eq!(state(Some(NOW), false, NOW + TimeDelta::seconds(9)), RefreshTokenState::Raced);
        assert_eq!(
            state(Some(NOW), false, NOW + TimeDelta::seconds(10)),
            RefreshTokenState::Reused
        );
        assert_eq!(state(Some(NOW), true, NOW), RefreshTokenState::Reused);
        assert_eq!(RefreshTokenState::of(NOW, false, None, false, NOW), RefreshTokenState::Expired);
        assert_eq!(
            RefreshTokenState::of(later, true, None, false, NOW),
            RefreshTokenState::Expired
        );
        let at_its_end = RefreshTokenState::of(NOW, false, Some(NOW - RACE), true, NOW);
        assert_eq!(at_its_end, RefreshTokenState::Reused, "its session may go on");
    }
}
