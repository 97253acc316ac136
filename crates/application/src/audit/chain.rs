//! The hash chain over the entries: each place holds the hash of the place before.

use std::fmt;

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Says what is hashed, and how: another encoding is another version.
const VERSION: &[u8] = b"repartee audit 1";

/// SHA-256 (FIPS 180-4).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChainHash(pub [u8; 32]);

/// The end of a chain, and what the next place follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// 1 for the first entry.
    pub position: u64,
    pub hash: ChainHash,
}

/// An entry as it is stored, what is personal in it encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEntry {
    pub id: i64,
    pub user_id: Option<Uuid>,
    pub actor: String,
    pub action: String,
    pub resource: Option<String>,
    pub resource_id: Option<String>,
    pub outcome: String,
    pub details: String,
    pub ip_address: Option<String>,
    pub personal: Option<Vec<u8>>,
    pub request_id: Option<String>,
    pub at: DateTime<Utc>,
}

/// A place in the chain as it is stored, which may be anything where somebody tampered with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedEntry {
    pub entry: StoredEntry,
    pub position: u64,
    /// `None` for what is no hash.
    pub previous: Option<ChainHash>,
    pub hash: Option<ChainHash>,
}

impl Head {
    /// Of a chain without entries.
    pub const START: Self = Self { position: 0, hash: ChainHash([0; 32]) };

    /// The head once an entry stands at the next place.
    #[must_use]
    pub fn then(self, entry: &StoredEntry) -> Self {
        let position = self.position.saturating_add(1);
        let mut hash = Sha256::new();
        hash.update(VERSION);
        hash.update(position.to_be_bytes());
        hash.update(self.hash.0);
        entry.write_to(&mut hash);
        Self { position, hash: ChainHash(hash.finalize().into()) }
    }
}

impl StoredEntry {
    /// Unambiguous: numbers have 8 bytes, and before all else stands its length, or that it is not
    /// there, so that nothing runs into what follows it.
    fn write_to(&self, hash: &mut Sha256) {
        hash.update(self.id.to_be_bytes());
        hash.update(self.at.timestamp_micros().to_be_bytes());
        let texts = [
            Some(&self.actor),
            Some(&self.action),
            self.resource.as_ref(),
            self.resource_id.as_ref(),
            Some(&self.outcome),
            Some(&self.details),
            self.ip_address.as_ref(),
            self.request_id.as_ref(),
        ];
        let texts = texts.into_iter().map(|text| text.map(String::as_bytes));
        let bytes =
            [self.user_id.as_ref().map(|id| id.as_bytes().as_slice()), self.personal.as_deref()];
        for field in texts.chain(bytes) {
            match field {
                Some(field) => {
                    hash.update([1]);
                    hash.update(u64::try_from(field.len()).unwrap_or(u64::MAX).to_be_bytes());
                    hash.update(field);
                }
                None => hash.update([0]),
            }
        }
    }
}

impl ChainHash {
    /// `None` unless there are 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

/// In hexadecimal.
impl fmt::Display for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::HashSet;

    use chrono::TimeDelta;

    use super::*;

    pub(in crate::audit) fn entry(id: i64) -> StoredEntry {
        StoredEntry {
            id,
            user_id: Some(Uuid::from_u128(1)),
            actor: "user".into(),
            action: "login".into(),
            resource: None,
            resource_id: None,
            outcome: "success".into(),
            details: "{}".into(),
            ip_address: None,
            personal: Some(vec![1, 2]),
            request_id: None,
            at: DateTime::UNIX_EPOCH,
        }
    }

    type Change = fn(&mut StoredEntry);

    #[test]
    fn every_field_and_the_place_are_in_the_hash() {
        let changes: [Change; 14] = [
            |_| {},
            |entry| entry.id = 2,
            |entry| entry.user_id = None,
            |entry| entry.actor.push('s'),
            |entry| entry.action.push('s'),
            |entry| entry.resource = Some(String::new()),
            |entry| entry.resource_id = Some(String::new()),
            |entry| entry.outcome.push('s'),
            |entry| entry.details.push(' '),
            |entry| entry.ip_address = Some(String::new()),
            |entry| entry.personal = Some(vec![1, 3]),
            |entry| entry.personal = None,
            |entry| entry.request_id = Some(String::new()),
            |entry| entry.at += TimeDelta::microseconds(1),
        ];
        let mut hashes = HashSet::new();
        for change in changes {
            let mut entry = entry(1);
            change(&mut entry);
            hashes.insert(Head::START.then(&entry).hash);
        }
        assert_eq!(hashes.len(), changes.len());

        let elsewhere = Head { position: 1, ..Head::START }.then(&entry(1));
        let after_another = Head { hash: ChainHash([1; 32]), ..Head::START }.then(&entry(1));
        assert!(hashes.insert(elsewhere.hash) && hashes.insert(after_another.hash));
    }

    #[test]
    fn no_field_runs_into_the_next() {
        let of = |actor: &str, action: &str| {
            let entry = StoredEntry { actor: actor.into(), action: action.into(), ..entry(1) };
            Head::START.then(&entry)
        };
        assert_ne!(of("user", "login"), of("userl", "ogin"));
        assert_ne!(of("", "userlogin"), of("userlogin", ""));
    }

    /// Chains that are stored already must stay good.
    #[test]
    fn the_encoding_stays_as_it_is() {
        let head = Head::START.then(&entry(1)).then(&StoredEntry { user_id: None, ..entry(2) });

        assert_eq!(head.position, 2);
        // Computed with another program.
        let expected = "6f2bda22591a543c4a3cc7e89ce857343a8561837be576e9e5ae45b93af5dffc";
        assert_eq!(head.hash.to_string(), expected);
    }
}
