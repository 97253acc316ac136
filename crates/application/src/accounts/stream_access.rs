//! Who opens a stream or a socket, and until when.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use futures::{
    StreamExt,
    future::{BoxFuture, OptionFuture},
};
use repartee_domain::{GenerationId, accounts::Role};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    Actor, AppError, Credential, Origin, Permission,
    accounts::{Access, Authenticator},
    ports::{Clock, FeedLog, IdGenerator, Ticket, TicketRepository, TokenSigner, Watched},
};

/// How long a ticket may be spent.
const TICKET: TimeDelta = TimeDelta::seconds(30);
/// How long a spent ticket resumes the reply that it opened: as long as its events are there.
const RESUMES: TimeDelta = TimeDelta::minutes(30);
/// [`LoginSessionRepository::principal`] may lag by so much, and a little for the clock.
const LAG: Duration = Duration::from_millis(1_100);

/// Streams and sockets outlive the moment in which they were opened, so who opened them is asked
/// again: when the token runs out, and when a login session of the user ends.
#[derive(Clone)]
pub struct StreamAccessService {
    ports: Arc<StreamAccessPorts>,
    /// How long a socket that a ticket opened is good before it has to authenticate.
    access: TimeDelta,
}

pub struct StreamAccessPorts {
    pub tickets: Arc<dyn TicketRepository>,
    pub authenticator: Arc<Authenticator>,
    pub feed: Arc<dyn FeedLog>,
    pub signer: Arc<dyn TokenSigner>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn IdGenerator>,
}

/// A ticket as it is given out, once.
#[derive(Debug)]
pub struct NewTicket {
    pub secret: SecretString,
    pub expires_in: TimeDelta,
}

impl StreamAccessService {
    pub fn new(ports: StreamAccessPorts, access: TimeDelta) -> Self {
        Self { ports: Arc::new(ports), access }
    }

    /// Whose bearer token this is, and until when it is good.
    pub async fn by_token(&self, token: &str, origin: Origin) -> Result<Access, AppError> {
        self.ports.authenticator.authenticate(token, origin).await
    }

    /// Whether somebody may open a socket. What comes over it is asked for frame by frame.
    pub fn admit(&self, actor: &Actor) -> Result<(), AppError> {
        actor.may(Permission::Read)
    }

    /// How long somebody is still good for.
    pub fn time_left(&self, access: &Access) -> Duration {
        (access.expires_at - self.ports.clock.now()).to_std().unwrap_or_default()
    }

    /// A ticket for one stream or socket.
    pub async fn issue_ticket(&self, actor: &Actor) -> Result<NewTicket, AppError> {
        actor.may(Permission::Read)?;
        let session = match &actor.credential {
            Credential::Session(id) => Some(*id),
            // What a program has no use for would outlive the scopes of its key.
            Credential::Key(_) => return Err(AppError::NotForKeys),
            Credential::External => None,
            Credential::Guest => return Err(AppError::Forbidden(Role::User)),
        };
        let secret = self.ports.ids.secret();
        let now = self.ports.clock.now();
        let ticket = Ticket {
            hash: self.ports.signer.hash_secret(secret.expose_secret()),
            user: actor.user,
            session,
            expires_at: now + TICKET,
            resumes_until: now + RESUMES,
        };
        self.ports.tickets.store(ticket).await?;
        Ok(NewTicket { secret, expires_in: TICKET })
    }

    /// Spends a ticket. One that opened the reply `resuming` before stays good for that: a
    /// browser's `EventSource` comes back with the address that it was given.
    pub async fn by_ticket(
        &self,
        ticket: &str,
        resuming: Option<GenerationId>,
        origin: Origin,
    ) -> Result<Access, AppError> {
        let hash = self.ports.signer.hash_secret(ticket);
        let now = self.ports.clock.now();
        let mut found = None;
        if let Some(generation) = resuming {
            found = self.ports.tickets.opened(hash, generation, now).await?;
        }
        if found.is_none() {
            found = self.ports.tickets.spend(hash, now).await?;
            if let (Some(_), Some(generation)) = (found, resuming) {
                self.ports.tickets.bind(hash, generation).await?;
            }
        }
        let ticket = found.ok_or(AppError::Unauthenticated)?;
        let authenticator = &self.ports.authenticator;
        let actor = match ticket.session {
            Some(session) => authenticator.signed_in(session, ticket.user, origin, now).await?,
            None => authenticator.signed_in_elsewhere(ticket.user, origin).await?,
        };
        Ok(Access { actor, expires_at: now + self.access })
    }

    /// Says which reply a ticket opened.
    pub async fn bind_ticket(
        &self,
        ticket: &str,
        generation: GenerationId,
    ) -> Result<(), AppError> {
        let hash = self.ports.signer.hash_secret(ticket);
        Ok(self.ports.tickets.bind(hash, generation).await?)
    }

    /// Resolves when somebody's access has run out, or their login session has ended before.
    pub fn over(&self, access: Access) -> BoxFuture<'static, ()> {
        let runs_out = sleep(self.time_left(&access));
        let ended = self.ended(access.actor);
        Box::pin(async move {
            tokio::select! {
                () = ended => {}
                () = runs_out => {}
            }
        })
    }

    /// Resolves when the login session of somebody has ended. A guest has none.
    pub fn ended(&self, actor: Actor) -> BoxFuture<'static, ()> {
        if actor.credential == Credential::Guest {
            return Box::pin(std::future::pending());
        }
        let this = self.clone();
        Box::pin(async move {
            let mut ends = this.ports.feed.watch(actor.user, Watched::SessionEnds).fuse();
            let mut again = None;
            loop {
                let later = OptionFuture::from(again.map(sleep_until));
                tokio::select! {
                    Some(()) = ends.next() => {
                        // What another process did may be noticed so much later.
                        again = Some(Instant::now() + LAG);
                    }
                    Some(()) = later => again = None,
                    else => return std::future::pending().await,
                }
                match this.ports.authenticator.has_ended(&actor).await {
                    Ok(true) => return,
                    Ok(false) => {}
                    // Nobody can say: it goes on, and is asked again until somebody can.
                    Err(_) => again = Some(Instant::now() + LAG),
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures::{FutureExt, stream};
    use tokio::{sync::Notify, time::timeout};
    use uuid::Uuid;

    use super::*;
    use crate::{
        accounts::{
            AuthenticatorPorts,
            fixture::{NOW, SESSION, USER, good_key},
        },
        ports::{
            MockApiKeyRepository, MockClock, MockFeedLog, MockIdGenerator,
            MockLoginSessionRepository, MockTicketRepository, MockTokenSigner, PortError,
            Principal, SecretHash,
        },
    };

    const GENERATION: GenerationId = GenerationId::from_uuid(Uuid::from_u128(7));
    const ACTOR: Actor = Actor {
        user: USER,
        role: Role::User,
        credential: Credential::Session(SESSION),
        origin: Origin { address: None, user_agent: None, request_id: None },
    };

    fn ticket() -> Ticket {
        Ticket {
            hash: SecretHash([1; 32]),
            user: USER,
            session: Some(SESSION),
            expires_at: NOW + TICKET,
            resumes_until: NOW + RESUMES,
        }
    }

    /// The session is there as long as `is_signed_in`, and nobody can say while that is `None`;
    /// `ends` is what the feed wakes with.
    fn service(
        tickets: MockTicketRepository,
        is_signed_in: Arc<Mutex<Option<bool>>>,
        ends: Arc<Notify>,
    ) -> StreamAccessService {
        let mut sessions = MockLoginSessionRepository::new();
        sessions.expect_principal().returning(move |_, _| {
            let principal = Principal { user: USER, role: Role::User };
            let is_signed_in = is_signed_in.lock().unwrap();
            let is_signed_in = is_signed_in.ok_or(PortError::Unavailable("away".into()))?;
            Ok(is_signed_in.then_some(principal))
        });
        let mut feed = MockFeedLog::new();
        feed.expect_watch().returning(move |_, _| {
            let ends = ends.clone();
            stream::unfold(ends, |ends| async move {
                ends.notified().await;
                Some(((), ends))
            })
            .boxed()
        });
        let mut signer = MockTokenSigner::new();
        signer.expect_hash_secret().return_const(SecretHash([1; 32]));
        let signer = Arc::new(signer);
        let mut clock = MockClock::new();
        clock.expect_now().return_const(NOW);
        let clock = Arc::new(clock);
        let authenticator = Authenticator::new(AuthenticatorPorts {
            sessions: Arc::new(sessions),
            keys: Arc::new(MockApiKeyRepository::new()),
            signer: signer.clone(),
            clock: clock.clone(),
            external: None,
        });
        let mut ids = MockIdGenerator::new();
        ids.expect_random().return_const([7; 32]);
        let ports = StreamAccessPorts {
            tickets: Arc::new(tickets),
            authenticator: Arc::new(authenticator),
            feed: Arc::new(feed),
            signer,
            clock,
            ids: Arc::new(ids),
        };
        StreamAccessService::new(ports, TimeDelta::minutes(30))
    }

    fn with(tickets: MockTicketRepository) -> StreamAccessService {
        service(tickets, Arc::new(Mutex::new(Some(true))), Arc::default())
    }

    #[tokio::test]
    async fn a_ticket_is_stored_hashed_and_good_for_half_a_minute() {
        let mut tickets = MockTicketRepository::new();
        tickets.expect_store().withf(|stored| *stored == ticket()).once().returning(|_| Ok(()));

        let issued = with(tickets).issue_ticket(&ACTOR).await.unwrap();

        assert_eq!(issued.expires_in, TimeDelta::seconds(30));
        assert_eq!(issued.secret.expose_secret().len(), 64);
    }

    #[tokio::test]
    async fn a_key_and_a_guest_get_no_ticket() {
        let key = Credential::Key(good_key("chat").key);
        for (credential, code) in [(key, "not_for_keys"), (Credential::Guest, "forbidden")] {
            let actor = Actor { credential, ..ACTOR };
            let service = with(MockTicketRepository::new());
            let refused = service.issue_ticket(&actor).await.unwrap_err();
            assert_eq!(refused.classify().1, code);
        }
    }

    #[tokio::test]
    async fn who_is_signed_in_elsewhere_gets_a_ticket_without_a_session() {
        let mut tickets = MockTicketRepository::new();
        tickets.expect_store().withf(|stored| stored.session.is_none()).returning(|_| Ok(()));
        let actor = Actor { credential: Credential::External, ..ACTOR };

        with(tickets).issue_ticket(&actor).await.unwrap();
    }

    #[tokio::test]
    async fn a_spent_ticket_opens_nothing_but_the_reply_that_it_opened() {
        let mut tickets = MockTicketRepository::new();
        tickets.expect_spend().returning(|_, _| Ok(None));
        tickets
            .expect_opened()
            .returning(|_, generation, _| Ok((generation == GENERATION).then(ticket)));
        let service = with(tickets);

        let again = service.by_ticket("t", Some(GENERATION), Origin::default()).await.unwrap();
        assert_eq!(again.actor, ACTOR);
        let other = GenerationId::from_uuid(Uuid::from_u128(8));
        for resuming in [None, Some(other)] {
            let refused = service.by_ticket("t", resuming, Origin::default()).await.unwrap_err();
            assert_eq!(refused.classify().1, "unauthenticated");
        }
    }

    #[tokio::test]
    async fn a_ticket_that_opens_a_reply_is_bound_to_it() {
        let mut tickets = MockTicketRepository::new();
        tickets.expect_opened().returning(|_, _, _| Ok(None));
        tickets.expect_spend().returning(|_, _| Ok(Some(ticket())));
        let bound = |_: &_, generation: &_| *generation == GENERATION;
        tickets.expect_bind().withf(bound).once().returning(|_, _| Ok(()));

        with(tickets).by_ticket("t", Some(GENERATION), Origin::default()).await.unwrap();
    }

    #[tokio::test]
    async fn a_ticket_of_a_session_that_ended_is_refused() {
        let mut tickets = MockTicketRepository::new();
        tickets.expect_spend().returning(|_, _| Ok(Some(ticket())));
        let service = service(tickets, Arc::new(Mutex::new(Some(false))), Arc::default());
        assert!(service.by_ticket("t", None, Origin::default()).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_a_session_is_noticed_also_a_little_late() {
        let (is_signed_in, ends) = (Arc::new(Mutex::new(Some(true))), Arc::new(Notify::new()));
        let service = service(MockTicketRepository::new(), is_signed_in.clone(), ends.clone());
        let mut ended = service.ended(ACTOR);
        assert!((&mut ended).now_or_never().is_none());

        // Woken while this process remembers the session.
        ends.notify_one();
        assert!((&mut ended).now_or_never().is_none());
        *is_signed_in.lock().unwrap() = Some(false);

        ended.await;
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_a_session_is_noticed_after_the_database_was_away() {
        let (is_signed_in, ends) = (Arc::new(Mutex::new(None)), Arc::new(Notify::new()));
        let service = service(MockTicketRepository::new(), is_signed_in.clone(), ends.clone());
        let mut ended = service.ended(ACTOR);
        ends.notify_one();
        assert!(timeout(10 * LAG, &mut ended).await.is_err(), "nobody can say");

        *is_signed_in.lock().unwrap() = Some(false);

        assert!(timeout(2 * LAG, ended).await.is_ok(), "it is never noticed");
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_token_opened_is_over_when_it_runs_out() {
        let minutes = Duration::from_mins(30);
        let access = Access { actor: ACTOR, expires_at: NOW + minutes };
        let mut over = with(MockTicketRepository::new()).over(access);
        let almost = minutes.saturating_sub(Duration::from_millis(10));
        assert!(timeout(almost, &mut over).await.is_err(), "too early");
        assert!(timeout(Duration::from_secs(1), over).await.is_ok(), "too late");
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_token_opened_is_over_when_its_session_ends() {
        let (is_signed_in, ends) = (Arc::new(Mutex::new(Some(false))), Arc::new(Notify::new()));
        let service = service(MockTicketRepository::new(), is_signed_in, ends.clone());
        let over = service.over(Access { actor: ACTOR, expires_at: NOW + TimeDelta::days(1) });
        ends.notify_one();
        assert!(timeout(LAG, over).await.is_ok());
    }
}
