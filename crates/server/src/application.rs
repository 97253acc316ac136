//! The application, put together: the same for `main` and for whoever tests the whole.

use std::{net::TcpListener, sync::Arc, time::Duration};

use actix_web::{HttpServer, dev::Server, web::Data};
use repartee_api::{EdgeSettings, Services, StreamCaps, Streams};
use repartee_application::{
    accounts::UserAdminService,
    files::ObjectSweeper,
    guests::{GuestPorts, GuestRules, GuestService},
    health::HealthService,
    housekeeping::Housekeeping,
    limits::{LimitPorts, LimitRules, LimitService},
    models::ModelService,
    ports::{Clock, FeedLog, RateLimiter},
    replies::ReplyService,
};
use repartee_domain::audit::Action;
use repartee_infrastructure::{
    limits::LocalRateLimiter,
    persistence::{
        Database, SeaAuditRecorder, SeaBudgetLedger, SeaConversationRepository, SeaFeedLog,
        SeaGuestRepository, SeaIdempotencyKeys, SeaLoginFailureRepository, SeaShapeRepository,
        SeaTicketRepository, SeaTurnRepository, SeaUserDirectory,
    },
    system::{SystemClock, TrackedSpawner},
};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::{
    StartError,
    accounts::span,
    auditing::{Auditing, Diary, auditing},
    connection,
    conversing::{Conversing, conversing},
    filing::{Filing, filing},
    ground::Ground,
    identity::{Identity, identity},
    live_log::{self, Live},
    models,
    settings::{CorsOrigins, Settings},
    shaping::{Shaping, shaping},
    transferring::{Transferring, transferring},
};

/// A connection that says nothing for so long is closed; browsers reuse one for about as long.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// For the head of a request to arrive.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
const BACKLOG: u32 = 4096;
/// For tasks to end, once the server has stopped.
const LAST_WAIT: Duration = Duration::from_secs(5);

pub struct Application {
    services: Services,
    database: Database,
    diary: Diary,
    spawner: TrackedSpawner,
    /// Ends what runs for as long as the server does.
    stop: CancellationToken,
    workers: Option<usize>,
    drain: Duration,
    stalled_reader: Duration,
}

impl Application {
    /// Connects, migrates and settles what an earlier process left. A missing dependency stops
    /// the start.
    pub async fn build(settings: &Settings) -> Result<Self, StartError> {
        // The model loads while the database is made ready.
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let models = Arc::new(models::catalogue(settings, &clock)?);
        let ground = Ground::lay(settings).await?;
        let Ground { database, clock, ids, .. } = &ground;
        let stop = CancellationToken::new();

        let feed: Arc<dyn FeedLog> = Arc::new(SeaFeedLog::new(database.clone(), ground.spawner()));
        let Identity { authenticator, accounts, recovery, api_keys, oauth, access, signer } =
            identity(settings, &ground, &feed)?;
        let Live { log, limiter, cache } = live_log::connect(settings, &ground, &stop).await?;
        let Conversing { conversations, messages, replies, completions, feeds, search } =
            conversing(settings, &ground, &feed, log, models.clone(), &stop).await?;
        let Filing { files, sweeper } = filing(settings, &ground).await?;
        housekeeping(&ground, &feed, &replies, sweeper).start(&ground.spawner, stop.clone());
        let guests = GuestPorts {
            guests: Arc::new(SeaGuestRepository::new(database.clone())),
            conversations: Arc::new(SeaConversationRepository::new(database.clone())),
            shapes: Arc::new(SeaShapeRepository::new(database.clone())),
            signer: signer.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
        };
        let users = UserAdminService::new(
            accounts.clone(),
            Arc::new(SeaUserDirectory::new(database.clone())),
            Arc::new(SeaIdempotencyKeys::new(database.clone())),
            Arc::new(SeaTurnRepository::new(database.clone())),
            replies.clone(),
            Arc::new(SeaAuditRecorder::new(database.clone())),
        );
        let Shaping { personas, projects, prompts, chats } = shaping(&ground, &replies);
        let Transferring { transfers, sharing } = transferring(&ground, &signer);
        let Auditing { service: audit, trail, diary } = auditing(&ground, &stop);
        let probe = Arc::new(database.clone());

        let services = Services {
            authenticator: Data::from(authenticator),
            accounts: Data::from(accounts),
            recovery: Data::new(recovery),
            users: Data::new(users),
            api_keys: Data::new(api_keys),
            oauth: Data::new(oauth),
            access: Data::new(access),
            guests: Data::new(GuestService::new(guests, guest_rules(settings))),
            completions: Data::new(completions),
            conversations: Data::new(conversations),
            messages: Data::new(messages),
            personas: Data::new(personas),
            projects: Data::new(projects),
            prompts: Data::new(prompts),
            project_chats: Data::new(chats),
            files: Data::new(files),
            models: Data::new(ModelService::new(models.clone(), clock.now())),
            replies: Data::new(replies),
            sharing: Data::new(sharing),
            transfers: Data::new(transfers),
            feeds: Data::new(feeds),
            search: Data::new(search),
            audit: Data::new(audit),
            trail: Data::new(trail),
            limits: Data::new(limits(settings, &ground, limiter)),
            streams: Data::new(Streams::new(settings.http.stalled_reader, stream_caps(settings))),
            health: Data::new(HealthService::new(probe, cache, models, clock.clone())),
            edge: Data::new(edge(settings)),
            ids: ids.clone(),
        };
        make_first_admin(settings, &services).await?;
        diary.record(Action::Started).await?;
        Ok(Self {
            services,
            database: ground.database,
            diary,
            spawner: ground.spawner,
            stop,
            workers: settings.http.workers,
            drain: settings.http.drain,
            stalled_reader: settings.http.stalled_reader,
        })
    }

    /// Serves on the listener. The server stops when its handle says so.
    pub fn listen(&self, listener: TcpListener) -> std::io::Result<Server> {
        let services = self.services.clone();
        let stalled_reader = self.stalled_reader;
        let mut server = HttpServer::new(move || repartee_api::app(services.clone()))
            .backlog(BACKLOG)
            .keep_alive(KEEP_ALIVE)
            // Nagle's algorithm would hold a first token back for 40 ms.
            .tcp_nodelay(true)
            // For the head of a request; the body has its own limit.
            .client_request_timeout(HEAD_TIMEOUT)
            // A caller that has gone away is not worked for; what was begun goes on by itself.
            .h1_allow_half_closed(false)
            .on_connect(move |connection, _| connection::limit(connection, stalled_reader))
            .disable_signals();
        if let Some(workers) = self.workers {
            server = server.workers(workers);
        }
        Ok(server.listen(listener)?.run())
    }

    /// Refuses new replies and gives the running ones time to finish. What is left is stored as
    /// interrupted; then feeds end and sockets close. Cut short it may be: `interrupt` then does
    /// the rest.
    pub async fn drain(&self) {
        self.services.health.drain();
        self.services.replies.drain(self.drain).await;
        self.services.streams.close(LAST_WAIT).await;
    }

    /// Stops the running replies where they are, and stores them; feeds end and sockets close.
    pub async fn interrupt(&self) {
        self.services.health.drain();
        self.services.replies.interrupt().await;
        self.services.streams.close(LAST_WAIT).await;
    }

    /// Lets go of everything, once the server has stopped.
    pub async fn close(self) -> Result<(), StartError> {
        let Self { services, database, diary, spawner, stop, .. } = self;
        drop(services);
        if let Err(error) = diary.record(Action::Stopped).await {
            tracing::error!(error = &error as &dyn std::error::Error, "the stop is not recorded");
        }
        stop.cancel();
        // What still waits for the database is settled at the next start.
        let _ = timeout(LAST_WAIT, spawner.close_and_wait()).await;
        Ok(database.close().await?)
    }
}

fn guest_rules(settings: &Settings) -> GuestRules {
    GuestRules { are_welcome: settings.guests.enabled, kept: span(settings.retention.guests) }
}

fn housekeeping(
    ground: &Ground,
    feed: &Arc<dyn FeedLog>,
    replies: &ReplyService,
    objects: ObjectSweeper,
) -> Housekeeping {
    let Ground { database, clock, .. } = ground;
    Housekeeping {
        keys: Arc::new(SeaIdempotencyKeys::new(database.clone())),
        tickets: Arc::new(SeaTicketRepository::new(database.clone())),
        feed: feed.clone(),
        guests: Arc::new(SeaGuestRepository::new(database.clone())),
        failures: Arc::new(SeaLoginFailureRepository::new(database.clone())),
        budgets: Arc::new(SeaBudgetLedger::new(database.clone())),
        objects,
        replies: replies.clone(),
        clock: clock.clone(),
    }
}

fn limits(
    settings: &Settings,
    ground: &Ground,
    shared: Option<Arc<dyn RateLimiter>>,
) -> LimitService {
    let ports = LimitPorts {
        local: Arc::new(LocalRateLimiter::new(ground.clock.clone())),
        shared,
        audit: Arc::new(SeaAuditRecorder::new(ground.database.clone())),
        spawner: ground.spawner(),
        clock: ground.clock.clone(),
    };
    LimitService::new(ports, limit_rules(settings))
}

fn edge(settings: &Settings) -> EdgeSettings {
    EdgeSettings {
        body_limit_bytes: settings.http.body_limit_bytes,
        body_timeout: settings.http.body_timeout,
        upload_limit_bytes: settings.http.upload_limit_bytes,
        upload_timeout: settings.http.upload_timeout,
        hsts: settings.http.hsts,
        public_url: settings.http.public_url.clone(),
        cors_origins: match &settings.http.cors_origins {
            CorsOrigins::Any => vec!["*".to_owned()],
            CorsOrigins::Listed(origins) => origins.clone(),
        },
        trusted_proxies: settings.http.trusted_proxies.clone(),
    }
}

fn stream_caps(settings: &Settings) -> StreamCaps {
    StreamCaps {
        per_user: settings.limits.streams_per_user,
        per_address: settings.limits.streams_per_address,
    }
}

fn limit_rules(settings: &Settings) -> LimitRules {
    LimitRules {
        requests_per_minute: settings.limits.requests_per_minute,
        requests_per_hour: settings.limits.requests_per_hour,
        log_ins_per_minute: settings.limits.login_per_minute,
        registrations_per_hour: settings.limits.register_per_hour,
        resets_per_hour: settings.limits.reset_per_hour,
        guest_requests_per_minute: settings.guests.requests_per_minute,
        uploads_per_minute: settings.limits.uploads_per_minute,
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
