//! Hears of what other processes stored, by asking the database.

use std::{collections::HashMap, time::Duration};

use repartee_application::ports::{PortError, Spawner, Watched};
use repartee_domain::UserId;
use sea_orm::{ConnectionTrait, FromQueryResult, Statement};
use uuid::Uuid;

use crate::persistence::{Database, bell::Polling, error::database};

const EVERY: Duration = Duration::from_millis(500);
/// The ids as one value: the statement stays the same however many they are. PostgreSQL only, as
/// only there are other processes.
const NEWEST: &str = "SELECT owner_id, last_seq, last_session_end FROM feeds \
    WHERE owner_id = ANY(string_to_array($1, ',')::uuid[])";

#[derive(FromQueryResult)]
struct Newest {
    owner_id: Uuid,
    last_seq: i64,
    last_session_end: i64,
}

/// Starts the task unless it runs already.
pub(super) fn start(db: &Database, spawner: &dyn Spawner) {
    if let Some(polling) = db.bell().poll() {
        spawner.spawn(Box::pin(poll(db.clone(), polling)));
    }
}

async fn poll(db: Database, mut polling: Polling) {
    let mut known = HashMap::new();
    let mut is_failing = false;
    loop {
        polling.pause(EVERY).await;
        let Some(watched) = polling.watched() else { return };
        let newest = match newest(&db, &watched).await {
            Ok(newest) => newest,
            Err(error) => {
                if !is_failing {
                    tracing::warn!(%error, "cannot ask for what other processes stored");
                }
                is_failing = true;
                continue;
            }
        };
        is_failing = false;
        // Where nothing was known yet it rings, and forgets who is signed in, for nothing rather
        // than not at all: what is remembered of who came a moment ago may be older than an ending
        // that nobody here heard of, which has to be noticed within a second. As this happens
        // twice a second at most, it costs little.
        let before = std::mem::take(&mut known);
        for Newest { owner_id, last_seq, last_session_end } in newest {
            let owner = UserId::from_uuid(owner_id);
            let (seq, session_end) = before.get(&owner).copied().unwrap_or((-1, -1));
            if session_end != last_session_end {
                // Before anybody looks whether a session is still good.
                db.endings().count();
                polling.ring_for(owner, Watched::SessionEnds);
            } else if seq != last_seq {
                polling.ring_for(owner, Watched::Changes);
            }
            known.insert(owner, (last_seq, last_session_end));
        }
        // A feed that is there no more went with its user.
        for gone in before.into_keys().filter(|owner| !known.contains_key(owner)) {
            db.endings().count();
            polling.ring_for(gone, Watched::SessionEnds);
        }
    }
}

async fn newest(db: &Database, watched: &[UserId]) -> Result<Vec<Newest>, PortError> {
    let ids: Vec<String> = watched.iter().map(|owner| owner.as_uuid().to_string()).collect();
    let backend = db.reader().get_database_backend();
    let statement = Statement::from_sql_and_values(backend, NEWEST, [ids.join(",").into()]);
    Newest::find_by_statement(statement).all(db.reader()).await.map_err(database)
}
