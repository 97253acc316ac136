//! Values that stand in a query.

use std::str::FromStr;

use crate::ApiError;

/// `true` or `false`; `None` where it is left out, or empty.
pub(crate) fn flag(field: &str, text: Option<&str>) -> Result<Option<bool>, ApiError> {
    match text {
        None | Some("") => Ok(None),
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(_) => Err(ApiError::invalid(field, "invalid", "must be true or false")),
    }
}

/// An integer id; `None` where it is left out, or empty.
pub(crate) fn id<Id: FromStr>(field: &str, text: Option<&str>) -> Result<Option<Id>, ApiError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    let id = text.parse().map_err(|_| ApiError::invalid(field, "invalid", "must be an integer"));
    id.map(Some)
}
