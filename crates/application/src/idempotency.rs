//! Requests that may be repeated.

use chrono::{DateTime, TimeDelta, Utc};
use repartee_domain::{FieldError, UserId};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    AppError,
    ports::{Done, IdempotencyKeys, NewKey, UsedKey},
};

/// How long a key stands for what was done under it.
const KEPT: TimeDelta = TimeDelta::hours(24);
const MAX_LENGTH: usize = 255;

/// A client's name for a request, so that repeating it does nothing twice
/// (draft-ietf-httpapi-idempotency-key-header).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    key: String,
    fingerprint: [u8; 32],
}

impl IdempotencyKey {
    /// 1 to 255 visible ASCII characters, in quotes (as the draft has it) or without.
    /// `fingerprint` is a SHA-256 of what is asked for: of a repeated request it is the same.
    pub fn parse(text: &str, fingerprint: [u8; 32]) -> Result<Self, FieldError> {
        let text = text.trim();
        let quoted = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        let key = quoted.unwrap_or(text);
        let is_good =
            (1..=MAX_LENGTH).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic());
        if is_good {
            Ok(Self { key: key.to_owned(), fingerprint })
        } else {
            Err(FieldError::new(
                "idempotency_key",
                "invalid",
                "must be 1 to 255 visible ASCII characters, like a UUID",
            ))
        }
    }

    /// Of a request about something in particular, by whatever name its path calls it: the same key
    /// for something else is another request.
    #[must_use]
    pub(crate) fn about(self, id: Uuid) -> Self {
        self.with(id.as_bytes())
    }

    /// Of a request that came with this besides.
    #[must_use]
    pub(crate) fn with(self, part: &[u8]) -> Self {
        let hash = Sha256::new().chain_update(self.fingerprint).chain_update(part);
        Self { fingerprint: hash.finalize().into(), ..self }
    }

    /// Of a request that makes several things: the key of the one at this place. No client can
    /// send it, for it has a space in it.
    #[must_use]
    pub(crate) fn part(&self, place: usize) -> Self {
        Self { key: format!("{} {place}", self.key), ..*self }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.key
    }

    pub(crate) fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }

    /// As it is stored.
    pub(crate) fn on(&self, route: &'static str, now: DateTime<Utc>) -> NewKey {
        NewKey {
            route,
            key: self.key.clone(),
            fingerprint: self.fingerprint,
            expires_at: now.checked_add_signed(KEPT).unwrap_or(now),
        }
    }
}

/// A request to make something, once.
///
/// A use case asks [`Making::made_before`] first. Otherwise it makes the thing and stores
/// [`Making::new_key`] in the same commit; where that finds the key in use, by a request that was
/// faster, [`Making::made_by`] tells what that one made.
pub(crate) struct Making<'a> {
    owner: UserId,
    route: &'static str,
    key: Option<&'a IdempotencyKey>,
    now: DateTime<Utc>,
}

impl<'a> Making<'a> {
    /// Keys of different routes have nothing to do with each other. Where there is no key, each
    /// request makes another thing.
    pub(crate) fn new(
        owner: UserId,
        route: &'static str,
        key: Option<&'a IdempotencyKey>,
        now: DateTime<Utc>,
    ) -> Self {
        Self { owner, route, key, now }
    }

    /// The id of what was made under this key before.
    ///
    /// # Errors
    /// [`AppError::KeyReused`] where the key was used for another request.
    pub(crate) async fn made_before(
        &self,
        keys: &dyn IdempotencyKeys,
    ) -> Result<Option<Uuid>, AppError> {
        let Some(key) = self.key else { return Ok(None) };
        match keys.find(self.owner, self.route, key.as_str(), self.now).await? {
            Some(used) => self.made_by(used).map(Some),
            None => Ok(None),
        }
    }

    /// The key, to be stored in the commit of what is made.
    pub(crate) fn new_key(&self) -> Option<NewKey> {
        self.key.map(|key| key.on(self.route, self.now))
    }

    /// The id of what another request made under this key.
    ///
    /// # Errors
    /// [`AppError::KeyReused`] where that was another request.
    pub(crate) fn made_by(&self, used: UsedKey) -> Result<Uuid, AppError> {
        let is_same = self.key.is_some_and(|key| key.fingerprint() == used.fingerprint);
        match used.done {
            Done::Resource(id) if is_same => Ok(id),
            _ => Err(AppError::KeyReused),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::MockIdempotencyKeys;

    const OWNER: UserId = UserId::from_uuid(Uuid::from_u128(1));
    const THING: Uuid = Uuid::from_u128(2);

    async fn made_before(done: Done, fingerprint: u8) -> Result<Option<Uuid>, AppError> {
        let mut keys = MockIdempotencyKeys::new();
        let used = UsedKey { fingerprint: [fingerprint; 32], done };
        keys.expect_find()
            .withf(|owner, route, key, _| *owner == OWNER && *route == *"things" && key == "k")
            .returning(move |_, _, _, _| Ok(Some(used)));
        let key = IdempotencyKey::parse("k", [1; 32]).unwrap();
        Making::new(OWNER, "things", Some(&key), DateTime::UNIX_EPOCH).made_before(&keys).await
    }

    #[tokio::test]
    async fn the_same_request_is_told_what_was_made() {
        assert_eq!(made_before(Done::Resource(THING), 1).await.unwrap(), Some(THING));
        for (done, fingerprint) in [
            (Done::Resource(THING), 2),
            (Done::Message(repartee_domain::MessageId::from_uuid(THING)), 1),
        ] {
            let error = made_before(done, fingerprint).await.unwrap_err();
            assert_eq!(error.classify().1, "idempotency_key_reused");
        }
    }

    #[tokio::test]
    async fn without_a_key_nothing_is_looked_for_and_nothing_stored() {
        let making = Making::new(OWNER, "things", None, DateTime::UNIX_EPOCH);
        assert_eq!(making.made_before(&MockIdempotencyKeys::new()).await.unwrap(), None);
        assert_eq!(making.new_key(), None);
    }

    #[test]
    fn a_key_about_one_thing_is_not_one_about_another() {
        let about = |n| IdempotencyKey::parse("k", [1; 32]).unwrap().about(Uuid::from_u128(n));
        assert_eq!(about(1), about(1));
        assert_ne!(about(1).fingerprint(), about(2).fingerprint());
        assert_ne!(about(1).fingerprint(), [1; 32]);
    }

    #[test]
    fn a_key_may_stand_in_quotes() {
        let bare = IdempotencyKey::parse("a-1", [1; 32]).unwrap();
        assert_eq!(IdempotencyKey::parse("\"a-1\"", [1; 32]).unwrap(), bare);
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let long = "k".repeat(256);
        for text in ["", "\"\"", "a b", "ä", "a\u{7f}", &long] {
            assert!(IdempotencyKey::parse(text, [1; 32]).is_err(), "{text:?}");
        }
        assert!(IdempotencyKey::parse(&long[1..], [1; 32]).is_ok());
    }
}
