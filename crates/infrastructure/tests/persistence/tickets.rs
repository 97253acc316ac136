//! The contract of `TicketRepository`.

use futures::future::join_all;
use repartee_application::ports::{SignedIn, Ticket, TicketRepository};

use crate::{
    databases::{TestDatabase, on_both_databases},
    fixtures::{at, generation_id, secret_hash, session_id, user_id},
};

on_both_databases!(
    a_ticket_is_spent_as_it_was_stored,
    a_ticket_says_until_when_the_token_that_got_it_is_good,
    of_many_who_spend_a_ticket_one_gets_it,
    an_expired_ticket_is_worth_nothing,
    a_spent_ticket_resumes_the_reply_that_it_opened,
    the_first_reply_that_a_ticket_opened_counts,
    useless_tickets_are_forgotten_by_portions,
);

fn ticket(n: u8) -> Ticket {
    Ticket {
        hash: secret_hash(n),
        user: user_id(1),
        signed_in: SignedIn::Here(session_id(1)),
        expires_at: at(30),
        resumes_until: at(600),
    }
}

async fn stored(db: &TestDatabase) {
    db.with_user(1).await;
    db.tickets().store(ticket(1)).await.unwrap();
}

async fn a_ticket_is_spent_as_it_was_stored(db: &TestDatabase) {
    stored(db).await;
    let tickets = db.tickets();

    assert_eq!(tickets.spend(secret_hash(2), at(1)).await.unwrap(), None);
    assert_eq!(tickets.spend(secret_hash(1), at(29)).await.unwrap(), Some(ticket(1)));
    assert_eq!(tickets.spend(secret_hash(1), at(1)).await.unwrap(), None);
}

async fn a_ticket_says_until_when_the_token_that_got_it_is_good(db: &TestDatabase) {
    db.with_user(1).await;
    let stored = Ticket { signed_in: SignedIn::Elsewhere { expires_at: at(90) }, ..ticket(1) };
    db.tickets().store(stored).await.unwrap();

    assert_eq!(db.tickets().spend(secret_hash(1), at(1)).await.unwrap(), Some(stored));
}

async fn of_many_who_spend_a_ticket_one_gets_it(db: &TestDatabase) {
    stored(db).await;
    let tickets = db.tickets();

    let spent = join_all((0..50).map(|_| tickets.spend(secret_hash(1), at(1)))).await;

    let got = spent.into_iter().filter(|spent| spent.as_ref().unwrap().is_some());
    assert_eq!(got.count(), 1);
}

async fn an_expired_ticket_is_worth_nothing(db: &TestDatabase) {
    stored(db).await;

    assert_eq!(db.tickets().spend(secret_hash(1), at(30)).await.unwrap(), None);
}

async fn a_spent_ticket_resumes_the_reply_that_it_opened(db: &TestDatabase) {
    stored(db).await;
    let tickets = db.tickets();
    let opened = async |n, seconds| {
        tickets.opened(secret_hash(1), generation_id(n), at(seconds)).await.unwrap()
    };
    tickets.bind(secret_hash(1), generation_id(1)).await.unwrap();
    assert_eq!(opened(1, 1).await, None);

    tickets.spend(secret_hash(1), at(1)).await.unwrap();
    assert_eq!(opened(1, 2).await, None);
    tickets.bind(secret_hash(1), generation_id(1)).await.unwrap();

    assert_eq!(opened(1, 599).await, Some(ticket(1)));
    assert_eq!((opened(1, 600).await, opened(2, 2).await), (None, None));
}

async fn the_first_reply_that_a_ticket_opened_counts(db: &TestDatabase) {
    stored(db).await;
    let tickets = db.tickets();
    tickets.spend(secret_hash(1), at(1)).await.unwrap();

    for n in [1, 2] {
        tickets.bind(secret_hash(1), generation_id(n)).await.unwrap();
    }

    assert!(tickets.opened(secret_hash(1), generation_id(1), at(2)).await.unwrap().is_some());
    assert!(tickets.opened(secret_hash(1), generation_id(2), at(2)).await.unwrap().is_none());
}

async fn useless_tickets_are_forgotten_by_portions(db: &TestDatabase) {
    stored(db).await;
    let tickets = db.tickets();
    for n in 2..=4 {
        let until = at(i64::from(n) * 1_000);
        tickets.store(Ticket { resumes_until: until, ..ticket(n) }).await.unwrap();
    }

    assert_eq!(tickets.forget(at(3_000), 2).await.unwrap(), 2);
    assert_eq!(tickets.forget(at(3_000), 2).await.unwrap(), 1);
    assert_eq!(tickets.forget(at(3_000), 2).await.unwrap(), 0);
    assert_eq!(tickets.spend(secret_hash(4), at(1)).await.unwrap().unwrap().hash, secret_hash(4));
}
