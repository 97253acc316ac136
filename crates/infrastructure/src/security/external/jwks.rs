//! The keys that an issuer publishes, read when they are needed and remembered.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use futures::StreamExt;
use repartee_application::ports::{PortError, Source};
use reqwest::{Url, redirect};

use super::KeySet;

/// For the whole answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes.
const MAX_ANSWER: usize = 256 * 1024;
/// However many tokens name keys that nobody knows.
const BETWEEN_READINGS: TimeDelta = TimeDelta::seconds(30);
/// How long a key that was withdrawn may be taken for good, where its issuer can be reached.
const FRESH: TimeDelta = TimeDelta::minutes(10);

pub(super) struct Jwks {
    url: Url,
    http: reqwest::Client,
    known: Mutex<Known>,
    /// One reads, and others wait for it or do without.
    reading: tokio::sync::Mutex<()>,
}

#[derive(Clone, Default)]
struct Known {
    /// `None` until they were read once.
    keys: Option<Arc<KeySet>>,
    read_at: Option<DateTime<Utc>>,
    tried_at: Option<DateTime<Utc>>,
}

impl Jwks {
    pub(super) fn at(url: Url) -> Result<Self, reqwest::Error> {
        let mut builder = reqwest::Client::builder()
            .timeout(PATIENCE)
            // Keys are taken from where the configuration says, and from nowhere else.
            .redirect(redirect::Policy::none());
        if url.scheme() == "http" {
            // No certificate is ever looked at.
            builder = builder.tls_certs_only([]);
        }
        if is_loopback(&url) {
            builder = builder.no_proxy();
        }
        Ok(Self {
            url,
            http: builder.build()?,
            known: Mutex::default(),
            reading: tokio::sync::Mutex::default(),
        })
    }

    /// The keys that are known, after another look where this one is not among them. Old ones are
    /// used on while the issuer is away.
    ///
    /// # Errors
    /// [`PortError::Unavailable`] when none were ever read.
    pub(super) async fn with(
        &self,
        id: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<Arc<KeySet>, PortError> {
        let known = self.known().clone();
        let is_known = known.keys.as_ref().is_some_and(|keys| keys.find(id).is_some());
        if !known.wants_reading(is_known, now) {
            return known.get();
        }
        let reading = match self.reading.try_lock() {
            Ok(reading) => reading,
            // It does for now.
            Err(_) if is_known => return known.get(),
            Err(_) => self.reading.lock().await,
        };
        // Somebody may have read them while this one waited.
        let known = self.known().clone();
        let is_known = known.keys.as_ref().is_some_and(|keys| keys.find(id).is_some());
        if known.wants_reading(is_known, now) {
            self.read(now).await;
        }
        drop(reading);
        self.known().get()
    }

    async fn read(&self, now: DateTime<Utc>) {
        self.known().tried_at = Some(now);
        match self.fetch().await {
            Ok(keys) => {
                let mut known = self.known();
                known.keys = Some(Arc::new(keys));
                known.read_at = Some(now);
            }
            Err(error) => {
                let error = &*error as &dyn std::error::Error;
                tracing::warn!(error, "cannot read the keys of the other issuer");
            }
        }
    }

    async fn fetch(&self) -> Result<KeySet, Source> {
        let response = self.http.get(self.url.clone()).send().await?;
        if !response.status().is_success() {
            return Err(format!("it answers {}", response.status()).into());
        }
        let mut json = Vec::new();
        let mut body = response.bytes_stream();
        while let Some(chunk) = body.next().await {
            json.extend_from_slice(&chunk?);
            if json.len() > MAX_ANSWER {
                return Err("the answer is too long".into());
            }
        }
        Ok(KeySet::parse(&json)?)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn wants_reading(&self, is_known: bool, now: DateTime<Utc>) -> bool {
        let is_fresh = self.read_at.is_some_and(|read| now - read < FRESH);
        let may_try = self.tried_at.is_none_or(|tried| now - tried >= BETWEEN_READINGS);
        may_try && !(is_known && is_fresh)
    }

    fn get(&self) -> Result<Arc<KeySet>, PortError> {
        let keys = self.keys.clone();
        keys.ok_or_else(|| PortError::Unavailable("no keys of the other issuer are known".into()))
    }
}

/// `HTTP_PROXY` is meant for the world outside.
fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}
