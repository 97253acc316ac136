//! Passwords, hashed with Argon2id (RFC 9106).

use std::{num::NonZeroUsize, sync::Arc, thread};

use argon2::{
    Algorithm, Argon2, MIN_SALT_LEN, Params, PasswordHasher as _, PasswordVerifier as _, Version,
    password_hash::phc,
};
use async_trait::async_trait;
use repartee_application::ports::{PasswordCheck, PasswordHash, PasswordHasher, PortError};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

/// KiB. This and the two below are OWASP's recommendation.
const MEMORY: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Bytes.
const OUTPUT: usize = 32;
/// What a password without a hash is hashed with. The result is thrown away.
const NO_SALT: [u8; 16] = [0; 16];

/// Argon2id with 19 MiB, two passes and one lane, as PHC strings.
#[derive(Debug, Clone)]
pub struct Argon2Hasher {
    places: Arc<Semaphore>,
}

impl Argon2Hasher {
    /// At most `at_once` hashings run at a time; more wait, first come, first served. Each holds
    /// 19 MiB.
    pub fn new(at_once: NonZeroUsize) -> Self {
        Self { places: Arc::new(Semaphore::new(at_once.get())) }
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PortError> {
        let unavailable = |error| PortError::Unavailable(error);
        let place =
            self.places.clone().acquire_owned().await.map_err(|e| unavailable(e.into()))?;
        let hashing = tokio::task::spawn_blocking(move || {
            // Held by the work, not by who waits for it: a caller that goes away stops no hashing.
            let _place = place;
            work()
        });
        hashing.await.map_err(|e| unavailable(e.into()))
    }
}

impl Default for Argon2Hasher {
    /// As many at once as there are cores.
    fn default() -> Self {
        Self::new(thread::available_parallelism().unwrap_or(NonZeroUsize::MIN))
    }
}

#[async_trait]
impl PasswordHasher for Argon2Hasher {
    async fn hash(&self, password: SecretString) -> Result<PasswordHash, PortError> {
        let hashed = self
            .run(move || argon2()?.hash_password(password.expose_secret().as_bytes()))
            .await?
            .map_err(|error| PortError::Unavailable(error.into()))?;
        Ok(PasswordHash(hashed.to_string().into()))
    }

    async fn verify(
        &self,
        password: SecretString,
        hash: Option<PasswordHash>,
    ) -> Result<PasswordCheck, PortError> {
        self.run(move || check(password.expose_secret().as_bytes(), hash.as_ref()))
            .await?
            .map_err(|error| PortError::Unavailable(error.into()))
    }
}

fn argon2() -> Result<Argon2<'static>, argon2::Error> {
    let params = Params::new(MEMORY, PASSES, LANES, Some(OUTPUT))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// Hashes exactly once, whatever there is to compare with.
fn check(password: &[u8], hash: Option<&PasswordHash>) -> Result<PasswordCheck, argon2::Error> {
    let argon2 = argon2()?;
    let Some(stored) = hash.and_then(read) else {
        argon2.hash_password_into(password, &NO_SALT, &mut [0; OUTPUT])?;
        return Ok(PasswordCheck::Differs);
    };
    Ok(match argon2.verify_password(password, &stored.phc) {
        Ok(()) if stored.is_outdated() => PasswordCheck::MatchesOutdated,
        Ok(()) => PasswordCheck::Matches,
        Err(_) => PasswordCheck::Differs,
    })
}

/// A stored hash that a password can be compared with.
struct Stored {
    phc: phc::PasswordHash,
    params: Params,
}

/// `None` for a hash that nothing can match. Whoever logs in is told what a wrong password is
/// told: another answer would say that the account exists, and its owner can reset the password.
fn read(hash: &PasswordHash) -> Option<Stored> {
    let stored = phc::PasswordHash::new(hash.0.expose_secret()).ok().and_then(|phc| {
        let usable = phc.salt.is_some_and(|salt| salt.len() >= MIN_SALT_LEN)
            && phc.hash.is_some()
            && Algorithm::try_from(phc.algorithm.as_str()).is_ok()
            && phc.version.is_none_or(|version| Version::try_from(version).is_ok());
        let params = Params::try_from(&phc).ok()?;
        usable.then_some(Stored { phc, params })
    });
    if stored.is_none() {
        tracing::error!("a stored password hash cannot be read: its owner cannot log in");
    }
    stored
}

impl Stored {
    /// Whether it was made with less than is asked today.
    fn is_outdated(&self) -> bool {
        self.phc.algorithm != Algorithm::Argon2id.ident()
            || self.phc.version != Some(Version::V0x13.into())
            || self.params.m_cost() < MEMORY
            || self.params.t_cost() < PASSES
            || self.phc.hash.is_none_or(|hash| hash.len() < OUTPUT)
    }
}
