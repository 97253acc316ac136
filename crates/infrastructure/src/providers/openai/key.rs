//! The key to a provider.

use std::sync::Arc;

use reqwest::header::{HeaderValue, InvalidHeaderValue};
use secrecy::{ExposeSecret, SecretString};

/// Shown by nothing: neither `Debug` nor the header's own.
#[derive(Debug, Clone, Default)]
pub(super) struct Key(Option<Arc<SecretString>>);

impl Key {
    /// An empty key is none: that is how an environment variable is left out.
    pub(super) fn new(key: Option<SecretString>) -> Self {
        Self(key.filter(|key| !key.expose_secret().is_empty()).map(Arc::new))
    }

    /// The `Authorization` header (RFC 6750, 2.1).
    pub(super) fn header(&self) -> Option<Result<HeaderValue, InvalidHeaderValue>> {
        let key = self.0.as_ref()?;
        Some(HeaderValue::try_from(format!("Bearer {}", key.expose_secret())).map(|mut header| {
            header.set_sensitive(true);
            header
        }))
    }

    pub(super) fn is_in(&self, text: &str) -> bool {
        self.0.as_ref().is_some_and(|key| text.contains(key.expose_secret()))
    }
}
