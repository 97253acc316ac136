//! What is wrong with one field of a request.

/// Shown to the caller as it is: `detail` says what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// The field's name on the native surface, dotted where it is nested.
    pub field: &'static str,
    /// Stable and machine-readable: `required`, `too_long`, `invalid` …
    pub code: &'static str,
    pub detail: String,
}

impl FieldError {
    pub fn new(field: &'static str, code: &'static str, detail: impl Into<String>) -> Self {
        Self { field, code, detail: detail.into() }
    }
}
