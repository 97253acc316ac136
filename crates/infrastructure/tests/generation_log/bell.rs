//! Rings from one replica to the others.

use repartee_application::ports::IdGenerator;
use repartee_domain::UserId;
use repartee_infrastructure::{
    redis::RedisBell,
    system::{SystemIds, TrackedSpawner},
};
use tokio::{runtime::Handle, sync::mpsc};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::server::{Server, connect, eventually, shared_url, soon};

struct Replica {
    rings: mpsc::Sender<UserId>,
    heard: mpsc::UnboundedReceiver<UserId>,
    spawner: TrackedSpawner,
    stop: CancellationToken,
    _stopped: DropGuard,
}

impl Replica {
    async fn start(url: &str) -> Self {
        let (rings, told) = mpsc::channel(8);
        let (hear, heard) = mpsc::unbounded_channel();
        let spawner = TrackedSpawner::new(Handle::current());
        let stop = CancellationToken::new();
        let process = SystemIds::new().unwrap().id();
        let ring = move |user| {
            // The test may be over.
            let _ = hear.send(user);
        };
        RedisBell::start(connect(url).await, process, told, ring, &spawner, &stop);
        Self { rings, heard, spawner, _stopped: stop.clone().drop_guard(), stop }
    }

    /// What comes is about this user: other tests ring on the same server.
    fn hears(&mut self, user: UserId) -> bool {
        while let Ok(heard) = self.heard.try_recv() {
            if heard == user {
                return true;
            }
        }
        false
    }
}

fn user() -> UserId {
    UserId::from_uuid(SystemIds::new().unwrap().id())
}

/// Rings until it is heard: at first nobody may be listening yet.
async fn rings_get_through(from: &Replica, to: &mut Replica) {
    let user = user();
    eventually(async || {
        from.rings.send(user).await.unwrap();
        to.hears(user).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_others_hear_it_and_oneself_does_not() {
    let url = shared_url();
    let (mut a, mut b) = (Replica::start(&url).await, Replica::start(&url).await);
    rings_get_through(&a, &mut b).await;
    rings_get_through(&b, &mut a).await;

    let (mine, theirs) = (user(), user());
    a.rings.send(mine).await.unwrap();
    eventually(async || b.hears(mine).then_some(())).await;
    b.rings.send(theirs).await.unwrap();

    let mut heard = Vec::new();
    soon(async {
        while heard.last() != Some(&theirs) {
            heard.extend(a.heard.recv().await);
        }
    })
    .await;
    assert!(!heard.contains(&mine));
}

#[tokio::test]
async fn a_server_that_comes_back_is_listened_to_again() {
    let mut server = Server::start().await;
    let (a, mut b) = (Replica::start(&server.url()).await, Replica::start(&server.url()).await);
    rings_get_through(&a, &mut b).await;

    server.kill();
    for _ in 0..100 {
        soon(a.rings.send(user())).await.unwrap();
    }
    server.start_again().await;

    rings_get_through(&a, &mut b).await;
}

#[tokio::test]
async fn it_stops_when_it_is_told_to() {
    let replica = Replica::start(&shared_url()).await;
    replica.stop.cancel();
    soon(replica.spawner.close_and_wait()).await;
}
