//! The application, put together: the same for `main` and for whoever tests the whole.

use std::{net::TcpListener, sync::Arc, time::Duration};

use actix_web::{HttpServer, dev::Server, web::Data};
use chrono::TimeDelta;
use repartee_api::{EdgeSettings, JsonEventEncoder, Services};
use repartee_application::{
    accounts::{AccountPorts, AccountRules, AccountService},
    conversations::ConversationService,
    health::HealthService,
    messages::MessageService,
    ports::{Clock, IdGenerator},
    replies::{ReplyPorts, ReplyRules, ReplyService},
};
use repartee_domain::accounts::SessionLifetime;
use repartee_infrastructure::{
    generation_log::{LocalGenerationLog, Retention},
    persistence::{
        Database, SeaConversationRepository, SeaLoginSessionRepository, SeaMessageRepository,
        SeaTurnRepository, SeaUserRepository,
    },
    security::{Argon2Hasher, CommonPasswordList, JwtSettings, JwtSigner},
    system::{SystemClock, SystemIds, TrackedSpawner},
};
use tokio::{runtime::Handle, time::timeout};

use crate::{
    StartError, database, models,
    settings::{CorsOrigins, Registration, Settings},
};

/// How long a reply's events stay replayable after its end.
const REPLAYABLE: Duration = Duration::from_mins(10);
/// Short, for the model in the process does best with short answers.
const DEFAULT_SYSTEM_MESSAGE: &str =
    "You are a helpful AI assistant. Answer in short, clear sentences.";
/// A connection that says nothing for so long is closed; browsers reuse one for about as long.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
const BACKLOG: u32 = 4096;
/// For tasks to end, once the server has stopped.
const LAST_WAIT: Duration = Duration::from_secs(5);

pub struct Application {
    services: Services,
    database: Database,
    spawner: TrackedSpawner,
    workers: Option<usize>,
    drain: Duration,
}

impl Application {
    /// Connects, migrates and settles what an earlier process left. A missing dependency stops
    /// the start.
    pub async fn build(settings: &Settings) -> Result<Self, StartError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let ids: Arc<dyn IdGenerator> =
            Arc::new(SystemIds::new().map_err(|error| StartError::Randomness(error.to_string()))?);
        let spawner = TrackedSpawner::new(Handle::current());
        // The model loads meanwhile.
        let models = Arc::new(models::catalogue(settings, &clock)?);
        let database = database::connect(settings).await?;
        database.migrate_up().await.map_err(StartError::Database)?;

        let accounts = accounts(settings, &database, &clock, &ids)?;
        let conversations = Arc::new(SeaConversationRepository::new(database.clone()));
        let messages = Arc::new(SeaMessageRepository::new(database.clone()));
        let turns = Arc::new(SeaTurnRepository::new(database.clone()));
        let log = Arc::new(LocalGenerationLog::new(clock.clone(), Retention::default()));
        let replies = ReplyService::new(
            ReplyPorts {
                conversations: conversations.clone(),
                turns: turns.clone(),
                log: log.clone(),
                encoder: Arc::new(JsonEventEncoder),
                models: models.clone(),
                spawner: Arc::new(spawner.clone()),
                clock: clock.clone(),
                ids: ids.clone(),
            },
            ReplyRules {
                operator_message: settings.replies.system_message.clone(),
                default_message: DEFAULT_SYSTEM_MESSAGE.to_owned(),
                replayable: REPLAYABLE,
            },
        );
        let settled = replies.settle().await?;
        if settled > 0 {
            tracing::warn!(settled, "replies that an earlier process left were settled");
        }
        replies.start_upkeep();

        let services = Services {
            accounts: Data::new(accounts),
            conversations: Data::new(ConversationService::new(
                conversations.clone(),
                turns,
                log,
                clock.clone(),
                ids.clone(),
            )),
            messages: Data::new(MessageService::new(
                conversations,
                messages,
                clock.clone(),
                ids.clone(),
            )),
            replies: Data::new(replies),
            health: Data::new(HealthService::new(Arc::new(database.clone()), models, clock)),
            edge: Data::new(edge(settings)),
            ids,
        };
        make_first_admin(settings, &services).await?;
        Ok(Self {
            services,
            database,
            spawner,
            workers: settings.http.workers,
            drain: settings.http.drain,
        })
    }

    /// Serves on the listener. The server stops when its handle says so.
    pub fn listen(&self, listener: TcpListener) -> std::io::Result<Server> {
        let services = self.services.clone();
        let mut server = HttpServer::new(move || repartee_api::app(services.clone()))
            .backlog(BACKLOG)
            .keep_alive(KEEP_ALIVE)
            // Nagle's algorithm would hold a first token back for 40 ms.
            .tcp_nodelay(true)
            // A caller that has gone away is not worked for; what was begun goes on by itself.
            .h1_allow_half_closed(false)
            .disable_signals();
        if let Some(workers) = self.workers {
            server = server.workers(workers);
        }
        Ok(server.listen(listener)?.run())
    }

    /// Refuses new replies and gives the running ones time to finish. What is left is stored as
    /// interrupted. Cut short it may be: `interrupt` then does the rest.
    pub async fn drain(&self) {
        self.services.health.drain();
        self.services.replies.drain(self.drain).await;
    }

    /// Stops the running replies where they are, and stores them.
    pub async fn interrupt(&self) {
        self.services.health.drain();
        self.services.replies.interrupt().await;
    }

    /// Lets go of everything, once the server has stopped.
    pub async fn close(self) -> Result<(), StartError> {
        let Self { services, database, spawner, .. } = self;
        drop(services);
        // What still waits for the database is settled at the next start.
        let _ = timeout(LAST_WAIT, spawner.close_and_wait()).await;
        Ok(database.close().await?)
    }
}

fn accounts(
    settings: &Settings,
    database: &Database,
    clock: &Arc<dyn Clock>,
    ids: &Arc<dyn IdGenerator>,
) -> Result<AccountService, StartError> {
    let auth = &settings.auth;
    let signer = JwtSigner::new(JwtSettings {
        secret: settings.signing_secret().map_err(StartError::Secret)?,
        issuer: auth.issuer.clone(),
        audience: auth.audience.clone(),
    })
    .map_err(|error| StartError::Settings(error.to_string()))?;
    let hashing = auth.hashing_concurrency.and_then(std::num::NonZero::new);
    let hashing = hashing.map_or_else(std::thread::available_parallelism, Ok);
    let ports = AccountPorts {
        users: Arc::new(SeaUserRepository::new(database.clone())),
        sessions: Arc::new(SeaLoginSessionRepository::new(database.clone())),
        hasher: Arc::new(Argon2Hasher::new(hashing.unwrap_or(std::num::NonZero::<usize>::MIN))),
        common_passwords: Arc::new(CommonPasswordList),
        signer: Arc::new(signer),
        clock: clock.clone(),
        ids: ids.clone(),
    };
    let rules = AccountRules {
        is_registration_open: auth.registration == Registration::Open,
        password: auth.password_policy,
        access: span(auth.access_lifetime),
        session: SessionLifetime {
            idle: span(auth.refresh_lifetime),
            absolute: span(auth.refresh_absolute_lifetime),
        },
    };
    Ok(AccountService::new(ports, rules))
}

fn edge(settings: &Settings) -> EdgeSettings {
    EdgeSettings {
        body_limit_bytes: settings.http.body_limit_bytes,
        cors_origins: match &settings.http.cors_origins {
            CorsOrigins::Any => vec!["*".to_owned()],
            CorsOrigins::Listed(origins) => origins.clone(),
        },
    }
}

async fn make_first_admin(settings: &Settings, services: &Services) -> Result<(), StartError> {
    let Some(admin) = &settings.bootstrap else { return Ok(()) };
    let email = admin.email.as_str();
    let made = services.accounts.bootstrap_admin(email, admin.password.clone()).await;
    if made.map_err(|error| StartError::Settings(format!("bootstrap: {error}")))? {
        tracing::info!("the first administrator was made, as bootstrap.admin_email says");
    }
    Ok(())
}

/// Configured spans are at most some years.
fn span(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}
