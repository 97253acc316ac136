//! Opaque cursors, and how many of a list to send.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use repartee_application::{Page, PageRequest, ports::ConversationKey};
use repartee_domain::{ApiKeyId, ConversationId, LoginSessionId, MessageId, UserId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::{ApiError, time};

const DEFAULT_LIMIT: u32 = 20;
const MAX_LIMIT: u32 = 100;

/// What every list takes.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// How many to send.
    #[param(minimum = 1, maximum = 100, default = 20)]
    pub(crate) limit: Option<String>,
    /// Where the page before ended: its `next_cursor`.
    pub(crate) cursor: Option<String>,
}

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ListBody<T: ToSchema> {
    pub(crate) data: Vec<T>,
    /// For the next page; null on the last.
    pub(crate) next_cursor: Option<String>,
}

/// A key that a list is ordered by, as bytes that a client need not understand.
pub(crate) trait Cursor: Sized {
    fn to_bytes(&self) -> Vec<u8>;
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
}

impl PageQuery {
    pub(crate) fn parse<K: Cursor>(&self) -> Result<PageRequest<K>, ApiError> {
        let limit = match &self.limit {
            None => DEFAULT_LIMIT,
            Some(text) => match text.parse() {
                Ok(limit @ 1..=MAX_LIMIT) => limit,
                _ => {
                    return Err(ApiError::invalid("limit", "out_of_range", "must be 1 to 100"));
                }
            },
        };
        let after = match &self.cursor {
            None => None,
            Some(text) => {
                let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok();
                let key = bytes.and_then(|bytes| K::from_bytes(&bytes));
                Some(key.ok_or_else(|| {
                    ApiError::invalid("cursor", "invalid", "must be a next_cursor of this list")
                })?)
            }
        };
        Ok(PageRequest { limit, after })
    }
}

impl<T: ToSchema> ListBody<T> {
    pub(crate) fn of<U: Into<T>, K: Cursor>(page: Page<U, K>) -> Self {
        Self {
            data: page.items.into_iter().map(Into::into).collect(),
            next_cursor: page.next.as_ref().map(encode),
        }
    }
}

pub(crate) fn encode<K: Cursor>(key: &K) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(key.to_bytes())
}

/// Lists in the order of ids, which is that in which they were made.
macro_rules! cursors_of_ids {
    ($($id:ty),+ $(,)?) => {$(
        impl Cursor for $id {
            fn to_bytes(&self) -> Vec<u8> {
                self.as_uuid().as_bytes().to_vec()
            }

            fn from_bytes(bytes: &[u8]) -> Option<Self> {
                Uuid::from_slice(bytes).ok().map(Self::from_uuid)
            }
        }
    )+};
}

cursors_of_ids!(ApiKeyId, LoginSessionId, MessageId, UserId);

impl Cursor for ConversationKey {
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.last_activity_at.timestamp_micros().to_be_bytes().to_vec();
        bytes.extend_from_slice(self.id.as_uuid().as_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (at, id) = bytes.split_first_chunk::<8>()?;
        Some(Self {
            last_activity_at: time::from_micros(i64::from_be_bytes(*at))?,
            id: ConversationId::from_uuid(Uuid::from_slice(id).ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn query(limit: Option<&str>, cursor: Option<&str>) -> PageQuery {
        PageQuery { limit: limit.map(Into::into), cursor: cursor.map(Into::into) }
    }

    #[test]
    fn a_cursor_reads_back_as_the_key_that_it_was_made_of() {
        let key = ConversationKey {
            last_activity_at: DateTime::from_timestamp_micros(1_800_000_000_123_456).unwrap(),
            id: ConversationId::from_uuid(Uuid::from_u128(5)),
        };
        let page = Page::<MessageBodyStandIn, _> { items: vec![], next: Some(key) };
        let body = ListBody::<MessageBodyStandIn>::of(page);

        let parsed = query(None, body.next_cursor.as_deref()).parse::<ConversationKey>().unwrap();

        assert_eq!((parsed.limit, parsed.after), (20, Some(key)));
    }

    #[derive(Debug, Serialize, ToSchema)]
    struct MessageBodyStandIn;

    #[test]
    fn nonsense_is_refused() {
        for (limit, cursor) in [
            (Some("0"), None),
            (Some("101"), None),
            (Some("many"), None),
            (None, Some("")),
            (None, Some("!!")),
            (None, Some("AAAA")),
            (None, Some("f___________________________________")),
        ] {
            assert!(
                query(limit, cursor).parse::<ConversationKey>().is_err(),
                "{limit:?} {cursor:?}"
            );
        }
    }
}
