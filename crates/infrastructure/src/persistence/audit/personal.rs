//! What is personal in an entry, encrypted with a key of the person: without the key nobody can
//! read it, and the chain over the entries still holds.
//!
//! AES-256-GCM (NIST SP 800-38D) with a random nonce of 96 bits before the text. The user's id is
//! authenticated with it, so that no text can be moved to somebody else's entry.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    error::Unspecified,
};
use chrono::{DateTime, Utc};
use repartee_application::ports::PortError;
use repartee_domain::{UserId, audit::Personal};
use sea_orm::{ConnectionTrait, EntityTrait};
use serde::{Deserialize, Serialize};

use crate::persistence::{
    Transaction, batch::statement, entity::subject_key::Entity, error::database, stored::corrupt,
};

const KEY_LEN: usize = 32;
/// For a user who is there. Of two that make it at once, one does, and the other reads that.
const MAKE_KEY: &str = "INSERT INTO subject_keys (user_id, key, created_at) \
    SELECT id, ?, ? FROM users WHERE id = ? ON CONFLICT (user_id) DO NOTHING";

#[derive(Serialize, Deserialize)]
struct Fields {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ip_address: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
}

/// `None` where nothing is personal, or the user is not there (any more).
pub(super) async fn encrypt(
    tx: &Transaction,
    user: UserId,
    personal: &Personal,
    now: DateTime<Utc>,
) -> Result<Option<Vec<u8>>, PortError> {
    if *personal == Personal::default() {
        return Ok(None);
    }
    let Some(key) = key_of(tx, user, now).await? else { return Ok(None) };
    let fields =
        Fields { ip_address: personal.ip_address.clone(), user_agent: personal.user_agent.clone() };
    let text = serde_json::to_vec(&fields).map_err(corrupt)?;
    seal(&key, user, text).map(Some)
}

fn seal(key: &[u8], user: UserId, mut text: Vec<u8>) -> Result<Vec<u8>, PortError> {
    let mut nonce = [0; NONCE_LEN];
    getrandom::fill(&mut nonce).map_err(|error| PortError::Unavailable(error.into()))?;
    cipher(key)
        .and_then(|cipher| {
            let nonce = Nonce::assume_unique_for_key(nonce);
            cipher.seal_in_place_append_tag(nonce, Aad::from(user.as_uuid()), &mut text)
        })
        .map_err(corrupt)?;
    Ok([nonce.as_slice(), &text].concat())
}

/// `None` for what this key does not open.
pub(super) fn decrypt(key: &[u8], user: UserId, sealed: &[u8]) -> Option<Personal> {
    let (nonce, text) = sealed.split_at_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut text = text.to_vec();
    let text = cipher(key).ok()?.open_in_place(nonce, Aad::from(user.as_uuid()), &mut text).ok()?;
    let fields: Fields = serde_json::from_slice(text).ok()?;
    Some(Personal { ip_address: fields.ip_address, user_agent: fields.user_agent })
}

fn cipher(key: &[u8]) -> Result<LessSafeKey, Unspecified> {
    UnboundKey::new(&AES_256_GCM, key).map(LessSafeKey::new)
}

/// The user's key, which is made when it is needed first.
async fn key_of(
    tx: &Transaction,
    user: UserId,
    now: DateTime<Utc>,
) -> Result<Option<Vec<u8>>, PortError> {
    let find = || Entity::find_by_id(user.as_uuid()).one(tx);
    if let Some(row) = find().await.map_err(database)? {
        return Ok(Some(row.key));
    }
    let mut key = vec![0; KEY_LEN];
    getrandom::fill(&mut key).map_err(|error| PortError::Unavailable(error.into()))?;
    let values = [key.into(), now.into(), user.as_uuid().into()];
    tx.execute_raw(statement(tx.get_database_backend(), MAKE_KEY, values))
        .await
        .map_err(database)?;
    Ok(find().await.map_err(database)?.map(|row| row.key))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const ADA: UserId = UserId::from_uuid(Uuid::from_u128(1));
    const BOB: UserId = UserId::from_uuid(Uuid::from_u128(2));

    #[test]
    fn what_is_personal_is_read_with_its_own_key_alone() {
        let text = br#"{"ip_address":"192.0.2.7"}"#.to_vec();
        let sealed = seal(&[1; KEY_LEN], ADA, text).unwrap();
        assert!(!sealed.windows(9).any(|window| window == b"192.0.2.7"));

        let read = decrypt(&[1; KEY_LEN], ADA, &sealed).unwrap();
        assert_eq!(read.ip_address.as_deref(), Some("192.0.2.7"));

        assert_eq!(decrypt(&[2; KEY_LEN], ADA, &sealed), None);
        assert_eq!(decrypt(&[1; KEY_LEN], BOB, &sealed), None);
        assert_eq!(decrypt(&[1; KEY_LEN], ADA, &sealed[..20]), None);
        assert_eq!(decrypt(&[1; KEY_LEN], ADA, b""), None);
    }
}
