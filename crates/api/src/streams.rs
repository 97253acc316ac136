//! What stays open: event streams and sockets, and how shutting down ends them.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use repartee_application::Actor;
use repartee_domain::{UserId, network::AddressBlock};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::ApiError;

/// Sockets of one user at once, in this process.
const MOST_SOCKETS: usize = 20;

/// How much may be open at once in this process; 0 for any number.
#[derive(Debug, Clone, Copy, Default)]
pub struct StreamCaps {
    /// Event streams of one user.
    pub per_user: usize,
    /// Event streams and sockets from one address.
    pub per_address: usize,
}

/// Knows every stream and socket of this process. Cheap to clone: clones are the same.
#[derive(Clone)]
pub struct Streams {
    shared: Arc<Shared>,
}

struct Shared {
    /// How long a reader may stand still with data waiting.
    stalled_after: Duration,
    going_away: CancellationToken,
    sockets: TaskTracker,
    caps: StreamCaps,
    seats: Mutex<HashMap<Place, usize>>,
}

/// What an open stream or socket is counted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Place {
    SocketsOf(UserId),
    StreamsOf(UserId),
    From(AddressBlock),
}

/// An open stream or socket; its places are free again when it is dropped.
pub(crate) struct Seat {
    shared: Arc<Shared>,
    places: Vec<Place>,
}

impl Streams {
    pub fn new(stalled_after: Duration, caps: StreamCaps) -> Self {
        let shared = Shared {
            stalled_after,
            caps,
            going_away: CancellationToken::new(),
            sockets: TaskTracker::new(),
            seats: Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Ends every stream that has nothing to tell at the moment, closes the sockets, and waits
    /// for those, for as long as `patience`.
    pub async fn close(&self, patience: Duration) {
        self.shared.going_away.cancel();
        self.shared.sockets.close();
        if tokio::time::timeout(patience, self.shared.sockets.wait()).await.is_err() {
            tracing::warn!(left = self.shared.sockets.len(), "some sockets did not close in time");
        }
    }

    /// Cancelled when the server goes away.
    pub(crate) fn going_away(&self) -> CancellationToken {
        self.shared.going_away.clone()
    }

    pub(crate) fn stalled_after(&self) -> Duration {
        self.shared.stalled_after
    }

    /// A seat for one more socket.
    pub(crate) fn seat_of_socket(&self, actor: &Actor) -> Result<Seat, ApiError> {
        let user = (Place::SocketsOf(actor.user), MOST_SOCKETS, ApiError::TooManySockets);
        self.seat(user, actor)
    }

    /// A seat for one more event stream.
    pub(crate) fn seat_of_stream(&self, actor: &Actor) -> Result<Seat, ApiError> {
        let most = self.shared.caps.per_user;
        self.seat((Place::StreamsOf(actor.user), most, ApiError::TooManyStreams), actor)
    }

    fn seat(&self, user: (Place, usize, ApiError), actor: &Actor) -> Result<Seat, ApiError> {
        let address = actor.origin.address.map(|address| {
            let place = Place::From(AddressBlock::of(address));
            (place, self.shared.caps.per_address, ApiError::TooManyFromAddress)
        });
        // Given up again where there is no place for all of it.
        let mut seat = Seat { shared: Arc::clone(&self.shared), places: Vec::with_capacity(2) };
        for (place, most, error) in [Some(user), address].into_iter().flatten() {
            if !self.shared.take(place, most) {
                return Err(error);
            }
            seat.places.push(place);
        }
        Ok(seat)
    }

    /// Runs a socket on this thread.
    #[expect(
        clippy::disallowed_methods,
        reason = "a socket belongs to its connection's thread; shutting down waits for the tracker"
    )]
    pub(crate) fn run(&self, socket: impl Future<Output = ()> + 'static) {
        actix_web::rt::spawn(self.shared.sockets.track_future(socket));
    }
}

impl Shared {
    fn seats(&self) -> MutexGuard<'_, HashMap<Place, usize>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `false` where as many are taken as there are.
    fn take(&self, place: Place, most: usize) -> bool {
        let mut seats = self.seats();
        let taken = seats.get(&place).copied().unwrap_or(0);
        if most > 0 && taken >= most {
            return false;
        }
        seats.insert(place, taken + 1);
        true
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = self.shared.seats();
        for place in &self.places {
            if let Some(taken) = seats.get_mut(place) {
                *taken -= 1;
                if *taken == 0 {
                    seats.remove(place);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use repartee_application::{Credential, Origin};
    use repartee_domain::accounts::Role;
    use uuid::Uuid;

    use super::*;

    fn streams(per_user: usize, per_address: usize) -> Streams {
        Streams::new(Duration::from_mins(1), StreamCaps { per_user, per_address })
    }

    fn actor(user: u128, address: &str) -> Actor {
        let origin = Origin { address: Some(address.parse().unwrap()), ..Origin::default() };
        Actor {
            user: UserId::from_uuid(Uuid::from_u128(user)),
            role: Role::User,
            credential: Credential::External { expires_at: DateTime::UNIX_EPOCH },
            origin,
        }
    }

    #[test]
    fn a_user_has_so_many_sockets_and_each_is_free_again_when_closed() {
        let streams = streams(1, 0);
        let ada = actor(1, "192.0.2.1");
        let mut seats: Vec<_> = (0..MOST_SOCKETS)
            .map(|_| streams.seat_of_socket(&ada).unwrap_or_else(|_| panic!()))
            .collect();

        let refused = streams.seat_of_socket(&ada).err();
        assert!(matches!(refused, Some(ApiError::TooManySockets)));
        assert!(streams.seat_of_socket(&actor(2, "192.0.2.1")).is_ok());

        seats.pop();
        assert!(streams.seat_of_socket(&ada).is_ok());
        seats.clear();
        assert!(streams.shared.seats().is_empty());
    }

    #[test]
    fn streams_are_counted_by_user_and_with_sockets_by_address() {
        let streams = streams(2, 3);
        let (ada, grace) = (actor(1, "2001:db8::1"), actor(2, "2001:db8::2"));
        let first = streams.seat_of_stream(&ada);
        let _second = streams.seat_of_stream(&ada);
        assert!(matches!(streams.seat_of_stream(&ada).err(), Some(ApiError::TooManyStreams)));
        let _third = streams.seat_of_socket(&grace);
        for refused in [streams.seat_of_stream(&grace).err(), streams.seat_of_socket(&ada).err()] {
            assert!(matches!(refused, Some(ApiError::TooManyFromAddress)));
        }
        assert!(streams.seat_of_stream(&actor(2, "2001:db8:0:1::2")).is_ok(), "another address");

        drop(first);
        assert!(streams.seat_of_stream(&grace).is_ok());
    }

    #[test]
    fn zero_is_no_cap() {
        let streams = streams(0, 0);
        let ada = actor(1, "192.0.2.1");
        let seats: Vec<_> = (0..500).map(|_| streams.seat_of_stream(&ada)).collect();
        assert!(seats.iter().all(Result::is_ok));
    }
}
