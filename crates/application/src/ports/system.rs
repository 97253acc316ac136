//! Time, randomness and background work: injected, so that tests neither sleep nor guess.

use async_trait::async_trait;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use repartee_domain::Code;
use secrecy::SecretString;
use uuid::Uuid;

#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
pub trait Clock: Send + Sync {
    /// Now, cut to microseconds, which is what every database keeps.
    fn now(&self) -> DateTime<Utc>;
}

#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
pub trait IdGenerator: Send + Sync {
    /// A UUIDv7 (RFC 9562, 5.7). Within a process each is greater than the one before.
    fn id(&self) -> Uuid;

    /// 256 bits from the operating system's secure generator.
    fn random(&self) -> [u8; 32];
}

impl dyn IdGenerator {
    pub fn code<const N: usize>(&self) -> Code<N> {
        loop {
            if let Some(code) = Code::from_random(self.random()) {
                return code;
            }
        }
    }

    /// 256 random bits in hexadecimal.
    pub fn secret(&self) -> SecretString {
        let digits = self.random().into_iter().flat_map(|byte| [byte >> 4, byte & 15]);
        digits.filter_map(|digit| char::from_digit(u32::from(digit), 16)).collect::<String>().into()
    }

    /// 256 random bits in base64url without padding (RFC 4648, 5): 43 characters.
    pub fn base64url(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.random())
    }

    /// A random number from 0 to 1, for jitter.
    pub fn fraction(&self) -> f64 {
        f64::from(self.random()[0]) / 255.0
    }
}

/// Work that goes on after its request was answered. Shutting down waits for it.
pub trait Spawner: Send + Sync {
    fn spawn(&self, task: BoxFuture<'static, ()>);
}

/// The database, as far as health is concerned.
#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait DatabaseProbe: Send + Sync {
    /// Whether it answers, within a second.
    async fn is_reachable(&self) -> bool;
}

/// What replicas share beside the database, as far as health is concerned.
#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait CacheProbe: Send + Sync {
    /// Whether it answers, within a second.
    async fn is_reachable(&self) -> bool;
}
