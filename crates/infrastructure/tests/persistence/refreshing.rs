//! Refreshing with the real service: however many try at once, one wins.

use std::{num::NonZero, sync::Arc};

use async_trait::async_trait;
use chrono::TimeDelta;
use futures::future::join_all;
use repartee_application::{
    Origin,
    accounts::{
        AccountPorts, AccountRules, AccountService, LetterPorts, Letters, LogInThrottle,
        NewAccount, Registered, ThrottlePorts,
    },
    ports::{Clock, IdGenerator, Mail, Mailer, PortError, TokenSigner},
};
use repartee_domain::accounts::{PasswordPolicy, ProfileChanges, SessionLifetime};
use repartee_infrastructure::{
    security::{Argon2Hasher, CommonPasswordList, JwtSettings, JwtSigner, SigningKey},
    system::{SystemClock, SystemIds, TrackedSpawner},
};
use tokio::runtime::Handle;

use crate::databases::{TestDatabase, on_both_databases};

on_both_databases!(of_fifty_at_once_one_wins_two_hundred_times);

const AT_ONCE: usize = 50;
const ROUNDS: usize = 200;

/// Nobody reads what is sent here.
struct NoMail;

#[async_trait]
impl Mailer for NoMail {
    async fn send(&self, _: &Mail) -> Result<(), PortError> {
        Ok(())
    }
}

/// As good as another process.
fn service(db: &TestDatabase) -> AccountService {
    let secret = "0123456789abcdef0123456789abcdef";
    let signer = JwtSigner::new(JwtSettings {
        key: SigningKey::from_secret(secret.into()).unwrap(),
        previous_keys: Vec::new(),
        issuer: "repartee".into(),
        audience: "repartee".into(),
    });
    let signer: Arc<dyn TokenSigner> = Arc::new(signer);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ids: Arc<dyn IdGenerator> = Arc::new(SystemIds::new().unwrap());
    let letters = LetterPorts {
        links: Arc::new(db.links()),
        mailer: Arc::new(NoMail),
        signer: signer.clone(),
        spawner: Arc::new(TrackedSpawner::new(Handle::current())),
        clock: clock.clone(),
        ids: ids.clone(),
    };
    let throttle = ThrottlePorts {
        failures: Arc::new(db.failures()),
        signer: signer.clone(),
        clock: clock.clone(),
    };
    let ports = AccountPorts {
        users: Arc::new(db.users()),
        sessions: Arc::new(db.sessions()),
        hasher: Arc::new(Argon2Hasher::new(NonZero::<usize>::MIN)),
        common_passwords: Arc::new(CommonPasswordList),
        throttle: Arc::new(LogInThrottle::new(throttle)),
        letters: Letters::new(letters, "http://127.0.0.1"),
        signer,
        clock,
        ids,
    };
    let rules = AccountRules {
        is_registration_open: true,
        hides_registration: false,
        password: PasswordPolicy::default(),
        access: TimeDelta::minutes(30),
        session: SessionLifetime { idle: TimeDelta::days(7), absolute: TimeDelta::days(30) },
    };
    AccountService::new(ports, rules)
}

async fn of_fifty_at_once_one_wins_two_hundred_times(db: &TestDatabase) {
    let services = [service(db), service(db)];
    let ada = NewAccount {
        email: "ada@example.com".into(),
        password: "analytical-engine-1".into(),
        profile: ProfileChanges::default(),
    };
    let registered = services[0].register(ada, &Origin::default()).await.unwrap();
    let Registered::SignedIn(registered) = registered else { panic!("not signed in") };
    let mut token = registered.tokens.refresh;
    for round in 0..ROUNDS {
        let origin = Origin::default();
        let tries = (0..AT_ONCE).map(|n| services[n % 2].refresh(token.clone(), &origin));
        let (won, lost): (Vec<_>, Vec<_>) =
            join_all(tries).await.into_iter().partition(Result::is_ok);
        assert_eq!(won.len(), 1, "round {round}");
        for refused in lost {
            assert_eq!(refused.unwrap_err().classify().1, "invalid_refresh_token");
        }
        // Nobody took the race for a theft: the winner's token is good.
        token = won.into_iter().next().unwrap().unwrap().refresh;
    }
    assert_eq!(db.count("login_sessions WHERE revoked_at IS NOT NULL").await, 0);
    let rounds = i64::try_from(ROUNDS).unwrap();
    assert_eq!(db.count("login_sessions").await, rounds + 1);
}
