//! Passwords, hashed with Argon2id (RFC 9106).

use std::{num::NonZeroUsize, sync::Arc, thread};

use argon2::{
    Algorithm, Argon2, MIN_SALT_LEN, Params, PasswordHasher as _, PasswordVerifier as _, Version,
    password_hash::phc,
};
use async_trait::async_trait;
use repartee_application::ports::{PasswordCheck, PasswordHash, PasswordHasher, PortError, Source};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

use super::pbkdf2::Pbkdf2Hash;

/// KiB. This and the two below are OWASP's recommendation.
const MEMORY: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// What an imported hash may cost at most, for whoever logs in makes the server pay it.
const MOST_MEMORY: u32 = 256 * 1024;
const MOST_PASSES: u32 = 20;
const MOST_LANES: u32 = 16;
/// Bytes.
const OUTPUT: usize = 32;
/// What a password without a hash is hashed with. The result is thrown away.
const NO_SALT: [u8; 16] = [0; 16];

/// Argon2id with 19 MiB, two passes and one lane, as PHC strings.
///
/// Of a stored hash that was made in another way (PBKDF2, or weaker parameters) the ordinary hashing
/// is done beside it, so that a failed log-in takes the longer time of the two: what is cheaper does
/// not show. What is dearer does, until its owner has logged in and it is replaced.
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
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(unavailable)?;
        let hashing = tokio::task::spawn_blocking(move || {
            // Held by the work, not by who waits for it: a caller that goes away stops no hashing.
            let _place = place;
            work()
        });
        hashing.await.map_err(unavailable)
    }
}

impl Argon2Hasher {
    /// `ordinary` is the hashing that a new hash takes. It is done on each path: by comparing with
    /// an ordinary hash, instead of that where there is none, and beside it where the hash was made
    /// in a way of its own, whose time would tell that there is somebody.
    async fn check(
        &self,
        password: SecretString,
        hash: Option<PasswordHash>,
        ordinary: fn(&SecretString) -> Result<(), argon2::Error>,
    ) -> Result<PasswordCheck, PortError> {
        let Some(stored) = hash.as_ref().and_then(stored) else {
            self.run(move || ordinary(&password)).await?.map_err(unavailable)?;
            return Ok(PasswordCheck::Differs);
        };
        let is_outdated = stored.is_outdated();
        let again = password.clone();
        let matching = self.run(move || stored.matches(&password));
        if !is_outdated {
            let matches = matching.await?.map_err(unavailable)?;
            return Ok(if matches { PasswordCheck::Matches } else { PasswordCheck::Differs });
        }
        let (matches, ordinary) = tokio::try_join!(matching, self.run(move || ordinary(&again)))?;
        ordinary.map_err(unavailable)?;
        let matches = matches.map_err(unavailable)?;
        Ok(if matches { PasswordCheck::MatchesOutdated } else { PasswordCheck::Differs })
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
            .map_err(unavailable)?;
        Ok(PasswordHash(hashed.to_string().into()))
    }

    async fn verify(
        &self,
        password: SecretString,
        hash: Option<PasswordHash>,
    ) -> Result<PasswordCheck, PortError> {
        self.check(password, hash, hash_for_nobody).await
    }

    fn can_verify(&self, hash: &PasswordHash) -> bool {
        read(hash).is_some()
    }
}

fn unavailable(error: impl Into<Source>) -> PortError {
    PortError::Unavailable(error.into())
}

fn argon2() -> Result<Argon2<'static>, argon2::Error> {
    let params = Params::new(MEMORY, PASSES, LANES, Some(OUTPUT))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// What a password costs that there is nothing to compare with.
fn hash_for_nobody(password: &SecretString) -> Result<(), argon2::Error> {
    let password = password.expose_secret().as_bytes();
    argon2()?.hash_password_into(password, &NO_SALT, &mut [0; OUTPUT])
}

/// `None` where nothing matches.
fn stored(hash: &PasswordHash) -> Option<Stored> {
    if hash.is_none() {
        return None;
    }
    let stored = read(hash);
    if stored.is_none() {
        // Whoever logs in is told what a wrong password is told: another answer would say that
        // the account exists, and its owner can reset the password.
        tracing::error!("a stored password hash cannot be read: its owner cannot log in");
    }
    stored
}

/// A stored hash that a password can be compared with.
enum Stored {
    Argon2(Box<Argon2Hash>),
    Pbkdf2(Pbkdf2Hash),
}

struct Argon2Hash {
    phc: phc::PasswordHash,
    params: Params,
}

/// `None` for a hash that nothing can match.
fn read(hash: &PasswordHash) -> Option<Stored> {
    let text = hash.0.expose_secret();
    if let Some(imported) = Pbkdf2Hash::parse(text) {
        return Some(Stored::Pbkdf2(imported));
    }
    let phc = phc::PasswordHash::new(text).ok()?;
    let usable = phc.salt.is_some_and(|salt| salt.len() >= MIN_SALT_LEN)
        && phc.hash.is_some()
        && Algorithm::try_from(phc.algorithm.as_str()).is_ok()
        && phc.version.is_none_or(|version| Version::try_from(version).is_ok());
    let params = Params::try_from(&phc).ok()?;
    let is_bearable = params.m_cost() <= MOST_MEMORY
        && params.t_cost() <= MOST_PASSES
        && params.p_cost() <= MOST_LANES;
    (usable && is_bearable).then_some(Stored::Argon2(Box::new(Argon2Hash { phc, params })))
}

impl Stored {
    fn matches(&self, password: &SecretString) -> Result<bool, argon2::Error> {
        let password = password.expose_secret().as_bytes();
        Ok(match self {
            Self::Argon2(own) => argon2()?.verify_password(password, &own.phc).is_ok(),
            Self::Pbkdf2(imported) => imported.matches(password),
        })
    }

    /// Whether it is to be replaced by one that is made as today.
    fn is_outdated(&self) -> bool {
        match self {
            Self::Argon2(own) => own.is_outdated(),
            Self::Pbkdf2(_) => true,
        }
    }
}

impl Argon2Hash {
    /// Whether it was made with less than is asked today.
    fn is_outdated(&self) -> bool {
        self.phc.algorithm != Algorithm::Argon2id.ident()
            || self.phc.version != Some(Version::V0x13.into())
            || self.params.m_cost() < MEMORY
            || self.params.t_cost() < PASSES
            || self.phc.hash.is_none_or(|hash| hash.len() < OUTPUT)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Barrier,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    const PASSWORD: &str = "tr0ubadour";
    /// From passlib's documentation.
    const PBKDF2_OF_PASSWORD: &str =
        "$pbkdf2-sha256$6400$.6UI/S.nXIk8jcbdHx3Fhg$98jZicV16ODfEsEZeYPGHU3kbrUrvUEXOPimVSQDD44";

    fn weak(algorithm: Algorithm, version: Version, params: Params) -> PasswordHash {
        let hash = Argon2::new(algorithm, version, params).hash_password(PASSWORD.as_bytes());
        PasswordHash(hash.unwrap().to_string().into())
    }

    async fn verify(password: &str, hash: Option<PasswordHash>) -> PasswordCheck {
        Argon2Hasher::default().verify(password.into(), hash).await.unwrap()
    }

    #[tokio::test]
    async fn a_hash_says_how_it_was_made_and_matches_its_password_alone() {
        let hasher = Argon2Hasher::default();
        let hash = hasher.hash(PASSWORD.into()).await.unwrap();

        assert!(hash.0.expose_secret().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert_eq!(verify(PASSWORD, Some(hash.clone())).await, PasswordCheck::Matches);
        for wrong in ["", "tr0ubadouR", "tr0ubadour ", "tr0ubadou"] {
            assert_eq!(
                verify(wrong, Some(hash.clone())).await,
                PasswordCheck::Differs,
                "{wrong:?}"
            );
        }
    }

    #[tokio::test]
    async fn the_same_password_never_has_the_same_hash() {
        let hasher = Argon2Hasher::default();
        let (one, two) = (
            hasher.hash(PASSWORD.into()).await.unwrap(),
            hasher.hash(PASSWORD.into()).await.unwrap(),
        );
        assert_ne!(one.0.expose_secret(), two.0.expose_secret());
    }

    #[tokio::test]
    async fn without_a_hash_every_password_differs() {
        assert_eq!(verify(PASSWORD, None).await, PasswordCheck::Differs);
    }

    #[tokio::test]
    async fn a_hash_made_with_less_matches_and_is_told_apart() {
        use {Algorithm::*, Version::*};
        let params = |memory, passes, output| Params::new(memory, passes, 1, Some(output)).unwrap();
        for outdated in [
            weak(Argon2id, V0x13, params(MEMORY - 1024, PASSES, OUTPUT)),
            weak(Argon2id, V0x13, params(MEMORY, PASSES - 1, OUTPUT)),
            weak(Argon2id, V0x13, params(MEMORY, PASSES, OUTPUT / 2)),
            weak(Argon2id, V0x10, params(MEMORY, PASSES, OUTPUT)),
            weak(Argon2i, V0x13, params(MEMORY, PASSES, OUTPUT)),
        ] {
            assert_eq!(
                verify(PASSWORD, Some(outdated.clone())).await,
                PasswordCheck::MatchesOutdated
            );
            assert_eq!(verify("another", Some(outdated)).await, PasswordCheck::Differs);
        }
        let stronger = weak(Argon2id, V0x13, params(MEMORY + 1024, PASSES + 1, OUTPUT));
        assert_eq!(verify(PASSWORD, Some(stronger)).await, PasswordCheck::Matches);
    }

    #[tokio::test]
    async fn a_hash_that_cannot_be_read_matches_nothing() {
        for corrupt in [
            "",
            "tr0ubadour",
            "$argon2id$v=19$m=19456,t=2,p=1",
            "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaGhhc2g",
            "$argon2id$v=18$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNo",
            "$argon2id$v=19$m=x$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNo",
            "$argon2id$v=19$m=19456,t=21,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNo",
            "$argon2id$v=19$m=262145,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNo",
            "$pbkdf2-sha256$1000$c2FsdA$aGFzaA",
            "!",
            "$scrypt$ln=16,r=8,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNo",
        ] {
            let hash = PasswordHash(corrupt.into());
            assert!(!Argon2Hasher::default().can_verify(&hash), "{corrupt}");
            assert_eq!(verify(PASSWORD, Some(hash)).await, PasswordCheck::Differs, "{corrupt}");
        }
    }

    #[tokio::test]
    async fn an_imported_hash_matches_and_is_to_be_replaced() {
        let hash = PasswordHash(PBKDF2_OF_PASSWORD.into());
        assert!(Argon2Hasher::default().can_verify(&hash));
        assert_eq!(verify("password", Some(hash.clone())).await, PasswordCheck::MatchesOutdated);
        assert_eq!(verify("Password", Some(hash)).await, PasswordCheck::Differs);
    }

    #[tokio::test]
    async fn a_failed_check_costs_an_ordinary_hashing_whatever_is_stored() {
        static ORDINARY: AtomicUsize = AtomicUsize::new(0);
        let counted = |_: &SecretString| {
            ORDINARY.fetch_add(1, Ordering::SeqCst);
            Ok(())
        };
        let fewer_passes = Params::new(MEMORY, PASSES - 1, LANES, Some(OUTPUT)).unwrap();
        let ordinary = Params::new(MEMORY, PASSES, LANES, Some(OUTPUT)).unwrap();
        let argon2 = |params| Some(weak(Algorithm::Argon2id, Version::V0x13, params));
        for (hash, beside) in [
            (None, 1),
            (Some(PasswordHash::none()), 1),
            (Some(PasswordHash("unreadable".into())), 1),
            (Some(PasswordHash(PBKDF2_OF_PASSWORD.into())), 1),
            (argon2(fewer_passes), 1),
            // Comparing with it is one.
            (argon2(ordinary), 0),
        ] {
            ORDINARY.store(0, Ordering::SeqCst);
            let hasher = Argon2Hasher::default();
            let check = hasher.check("another".into(), hash.clone(), counted).await;
            assert_eq!(check.unwrap(), PasswordCheck::Differs, "{hash:?}");
            assert_eq!(ORDINARY.load(Ordering::SeqCst), beside, "{hash:?}");
        }
    }

    #[tokio::test]
    async fn no_more_run_at_once_than_there_are_places() {
        let hasher = Argon2Hasher::new(const { NonZeroUsize::new(2).unwrap() });
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let work = (0..8).map(|_| {
            let (running, most) = (Arc::clone(&running), Arc::clone(&most));
            hasher.run(move || {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                std::thread::yield_now();
                running.fetch_sub(1, Ordering::SeqCst);
            })
        });
        futures::future::try_join_all(work).await.unwrap();
        assert!((1..=2).contains(&most.load(Ordering::SeqCst)));
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_keeps_its_place_until_it_is_over() {
        let hasher = Argon2Hasher::new(NonZeroUsize::MIN);
        let barrier = Arc::new(Barrier::new(2));
        let held = Arc::clone(&barrier);
        let mut abandoned = Box::pin(hasher.run(move || {
            held.wait();
        }));
        assert!(futures::poll!(&mut abandoned).is_pending());
        drop(abandoned);

        assert_eq!(hasher.places.available_permits(), 0);
        barrier.wait();
        hasher.run(|| ()).await.unwrap();
    }
}
