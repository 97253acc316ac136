//! Times on the wire: RFC 3339, UTC.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serializer, de::Error};

/// Years that RFC 3339 can write; a cursor that was tampered with may hold any number.
const WRITABLE: std::ops::Range<i64> = -62_135_596_800_000_000..253_402_300_800_000_000;

pub(crate) fn from_micros(micros: i64) -> Option<DateTime<Utc>> {
    WRITABLE.contains(&micros).then(|| DateTime::from_timestamp_micros(micros)).flatten()
}

/// Any time that RFC 3339 can write, in any zone.
pub(crate) fn parse(text: &str) -> Option<DateTime<Utc>> {
    let at = DateTime::parse_from_rfc3339(text).ok()?;
    from_micros(at.timestamp_micros())
}

/// As [`parse`], for what may be left out or null.
pub(crate) fn read_option<'de, D>(deserializer: D) -> Result<Option<DateTime<Utc>>, D::Error>
where
    D: Deserializer<'de>,
{
    let text = Option::<String>::deserialize(deserializer)?;
    let read =
        |text: String| parse(&text).ok_or_else(|| D::Error::custom("expected a time (RFC 3339)"));
    text.map(read).transpose()
}

/// `2026-11-21T10:00:00.123456Z`: always microseconds, so that texts sort as times do.
pub(crate) fn rfc3339<S: Serializer>(at: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&at.to_rfc3339_opts(SecondsFormat::Micros, true))
}

#[expect(clippy::ref_option, reason = "the signature is serde's")]
pub(crate) fn rfc3339_option<S: Serializer>(
    at: &Option<DateTime<Utc>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => rfc3339(at, serializer),
        None => serializer.serialize_none(),
    }
}
