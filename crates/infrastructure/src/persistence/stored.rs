//! Reading values as they are stored: what does not fit its type is corrupt.

use std::str::FromStr;

use repartee_application::ports::{PortError, Source};
use repartee_domain::Version;

pub(super) fn number<T>(stored: i64) -> Result<T, PortError>
where
    T: TryFrom<i64>,
    T::Error: Into<Source>,
{
    T::try_from(stored).map_err(corrupt)
}

pub(super) fn version(stored: i64) -> Result<Version, PortError> {
    number(stored).map(Version::new)
}

pub(super) fn parsed<T>(stored: &str) -> Result<T, PortError>
where
    T: FromStr,
    T::Err: Into<Source>,
{
    stored.parse().map_err(corrupt)
}

pub(super) fn corrupt(error: impl Into<Source>) -> PortError {
    PortError::Corrupt(error.into())
}
