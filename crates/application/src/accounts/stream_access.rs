//! Who opens a stream or a socket, and until when.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use futures::{
    StreamExt,
    future::{BoxFuture, OptionFuture},
};
use repartee_domain::{GenerationId, UserId, accounts::Role};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    Actor, AppError, Credential, Origin, Permission,
    accounts::{Access, Authenticator},
    ports::{
        Clock, FeedLog, IdGenerator, SignedIn, Ticket, TicketRepository, TokenSigner, Watched,
    },
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
        let signed_in = match &actor.credential {
            Credential::Session(id) => SignedIn::Here(*id),
            // What a program has no use for would outlive the scopes of its key.
            Credential::Key(_) => return Err(AppError::NotForKeys),
            Credential::External { expires_at } => SignedIn::Elsewhere { expires_at: *expires_at },
            Credential::Guest => return Err(AppError::Forbidden(Role::User)),
        };
        let secret = self.ports.ids.secret();
        let now = self.ports.clock.now();
        let ticket = Ticket {
            hash: self.ports.signer.hash_secret(secret.expose_secret()),
            user: actor.user,
            signed_in,
            expires_at: signed_in.at_most(now + TICKET),
            resumes_until: signed_in.at_most(now + RESUMES),
        };
        self.ports.tickets.store(ticket).await?;
        let expires_in = (ticket.expires_at - now).max(TimeDelta::zero());
        Ok(NewTicket { secret, expires_in })
    }

    /// A ticket for whoever may have one: no key, and nobody who acts in somebody else's name.
    pub async fn ticket_for(
        &self,
        actor: &Actor,
        owner: UserId,
    ) -> Result<Option<NewTicket>, AppError> {
        if actor.user != owner || actor.key().is_some() {
            return Ok(None);
        }
        self.issue_ticket(actor).await.map(Some)
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
        let actor = match ticket.signed_in {
            SignedIn::Here(session) => {
                authenticator.signed_in(session, ticket.user, origin, now).await?
            }
            SignedIn::Elsewhere { expires_at } => {
                authenticator.signed_in_elsewhere(ticket.user, expires_at, origin).await?
            }
        };
        Ok(Access { actor, expires_at: ticket.signed_in.at_most(now + self.access) })
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

impl SignedIn {
    /// A token of another issuer ends what it opened; a login session is asked again.
    fn at_most(self, until: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::Here(_) => until,
            Self::Elsewhere { expires_at } => until.min(expires_at),
        }
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
            AuthenticatorPorts, ExternalUsers,
            fixture::{NOW, SESSION, USER, good_key},
        },
        ports::{
            MockApiKeyRepository, MockClock, MockExternalIdentityRepository, MockExternalTokens,
            MockFeedLog, MockIdGenerator, MockLoginSessionRepository, MockPasswordHasher,
            MockTicketRepository, MockTokenSigner, PortError, Principal, SecretHash,
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
            signed_in: SignedIn::Here(SESSION),
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
            external: Some(users_from_elsewhere()),
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

    fn users_from_elsewhere() -> ExternalUsers {
        let mut identities = MockExternalIdentityRepository::new();
        let principal = Principal { user: USER, role: Role::User };
        identities.expect_principal().returning(move |_| Ok(Some(principal)));
        ExternalUsers {
            tokens: Arc::new(MockExternalTokens::new()),
            identities: Arc::new(identities),
            hasher: Arc::new(MockPasswordHasher::new()),
            ids: Arc::new(MockIdGenerator::new()),
        }
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
    async fn a_ticket_of_who_is_signed_in_elsewhere_ends_with_the_token() {
        for (left, spent_within, resumed_within) in
            [(20, 20, 20), (600, 30, 600), (7_200, 30, 1_800)]
        {
            let at = |seconds| NOW + TimeDelta::seconds(seconds);
            let stored = Ticket {
                signed_in: SignedIn::Elsewhere { expires_at: at(left) },
                expires_at: at(spent_within),
                resumes_until: at(resumed_within),
                ..ticket()
            };
            let mut tickets = MockTicketRepository::new();
            tickets.expect_store().withf(move |new| *new == stored).once().returning(|_| Ok(()));
            let credential = Credential::External { expires_at: at(left) };

            let issued = with(tickets).issue_ticket(&Actor { credential, ..ACTOR }).await.unwrap();

            assert_eq!(issued.expires_in, TimeDelta::seconds(spent_within));
        }
    }

    #[tokio::test]
    async fn what_such_a_ticket_opens_ends_with_the_token() {
        for (left, open_for) in [(10, 10), (90, 30)] {
            let expires_at = NOW + TimeDelta::minutes(left);
            let signed_in = SignedIn::Elsewhere { expires_at };
            let mut tickets = MockTicketRepository::new();
            tickets
                .expect_spend()
                .returning(move |_, _| Ok(Some(Ticket { signed_in, ..ticket() })));

            let access = with(tickets).by_ticket("t", None, Origin::default()).await.unwrap();

            assert_eq!(access.actor.credential, Credential::External { expires_at });
            assert_eq!(access.expires_at, NOW + TimeDelta::minutes(open_for));
        }
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
