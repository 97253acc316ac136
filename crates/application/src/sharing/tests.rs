use chrono::TimeDelta;
use repartee_domain::{accounts::Role, audit::AuditEntry, conversations::Subject};

use super::*;
use crate::{
    Page,
    ports::{
        Done, MockClock, MockConversationRepository, MockIdGenerator, MockIdempotencyKeys,
        MockSharedLinkRepository, MockTokenSigner, NewKey, SecretHash, UsedKey,
    },
    replies::fixture::{ACTOR, CONVERSATION, START},
};

const FIRST: PageRequest<MessageId> = PageRequest { limit: 20, after: None };

fn service(links: MockSharedLinkRepository, used: Option<UsedKey>) -> SharingService {
    let mut conversations = MockConversationRepository::new();
    conversations.expect_find().returning(|owner, reference| {
        let code = "ABCDEFGHIJ01".parse().unwrap();
        let mine = Conversation::begin(CONVERSATION, code, owner, Subject::default(), START);
        Ok(Some(mine).filter(|mine| reference == mine.id.into()))
    });
    let mut keys = MockIdempotencyKeys::new();
    keys.expect_find().returning(move |_, _, _, _| Ok(used));
    // The hash of a secret is its length.
    let mut signer = MockTokenSigner::new();
    signer
        .expect_hash_secret()
        .returning(|secret| SecretHash([u8::try_from(secret.len()).unwrap(); 32]));
    let mut clock = MockClock::new();
    clock.expect_now().return_const(START);
    let mut ids = MockIdGenerator::new();
    ids.expect_random().return_const([7; 32]);
    SharingService::new(SharingPorts {
        links: Arc::new(links),
        conversations: Arc::new(conversations),
        keys: Arc::new(keys),
        signer: Arc::new(signer),
        clock: Arc::new(clock),
        ids: Arc::new(ids),
    })
}

fn key() -> IdempotencyKey {
    IdempotencyKey::parse("k", [1; 32]).unwrap()
}

#[tokio::test]
async fn the_token_is_given_once_and_only_its_hash_is_stored() {
    let mut links = MockSharedLinkRepository::new();
    links
        .expect_put()
        .withf(|link: &NewLink, key: &Option<NewKey>, entry: &AuditEntry| {
            *link
                == NewLink {
                    conversation: CONVERSATION,
                    owner: ACTOR.user,
                    token: SecretHash([43; 32]),
                    created_at: START,
                    expires_at: Some(START + TimeDelta::days(7)),
                }
                && key.is_some()
                && entry.action == Action::ConversationShared
        })
        .once()
        .returning(|_, _, _| Ok(None));

    let link = service(links, None).share(&ACTOR, CONVERSATION.into(), Some(7), Some(key())).await;

    let link = link.unwrap();
    assert_eq!(link.token.expose_secret().len(), 43, "256 bits");
    assert_eq!(link.expires_at, Some(START + TimeDelta::days(7)));
    assert!(!format!("{link:?}").contains(link.token.expose_secret()));
}

#[tokio::test]
async fn a_link_that_was_made_under_a_key_is_not_made_again() {
    let mine = key().about(CONVERSATION.as_uuid());
    for (fingerprint, code) in
        [(mine.fingerprint(), "already_done"), ([9; 32], "idempotency_key_reused")]
    {
        let used = UsedKey { fingerprint, done: Done::Resource(CONVERSATION.as_uuid()) };
        let share = async |links, before| {
            let service = service(links, before);
            service.share(&ACTOR, CONVERSATION.into(), None, Some(key())).await.unwrap_err()
        };
        let before = share(MockSharedLinkRepository::new(), Some(used)).await;
        let mut racing = MockSharedLinkRepository::new();
        racing.expect_put().returning(move |_, _, _| Ok(Some(used)));
        let at_once = share(racing, None).await;
        assert_eq!((before.classify().1, at_once.classify().1), (code, code));
    }
}

#[tokio::test]
async fn what_is_not_ones_own_cannot_be_shared() {
    let service = service(MockSharedLinkRepository::new(), None);
    let other = ConversationReference::parse("ABCDEFGHIJ99").unwrap();
    for error in [
        service.share(&ACTOR, other, Some(0), None).await.unwrap_err(),
        service.unshare(&ACTOR, other).await.unwrap_err(),
    ] {
        assert_eq!(error.classify().1, "conversation_not_found");
    }
    let guest = Actor { role: Role::Guest, ..ACTOR };
    let refused = service.share(&guest, CONVERSATION.into(), None, None).await.unwrap_err();
    assert_eq!(refused.classify().1, "forbidden");
    let refused = service.share(&ACTOR, CONVERSATION.into(), Some(0), None).await.unwrap_err();
    assert_eq!(refused.classify().1, "invalid_fields");
}

#[tokio::test]
async fn what_has_no_link_has_none_to_end() {
    for (removed, expected) in [(true, Ok(())), (false, Err("shared_link_not_found"))] {
        let mut links = MockSharedLinkRepository::new();
        links
            .expect_remove()
            .withf(|owner, id, entry| {
                (*owner, *id) == (ACTOR.user, CONVERSATION)
                    && entry.action == Action::ConversationUnshared
            })
            .returning(move |_, _, _| Ok(removed));
        let ended = service(links, None).unshare(&ACTOR, CONVERSATION.into()).await;
        assert_eq!(ended.map_err(|error| error.classify().1), expected);
    }
}

#[tokio::test]
async fn a_link_is_looked_for_by_its_hash_whatever_is_sent() {
    let mut links = MockSharedLinkRepository::new();
    links
        .expect_read()
        .withf(|token, page, now| *token == SecretHash([3; 32]) && *page == FIRST && *now == START)
        .returning(|_, _, _| {
            let messages = Page { items: vec![], next: None };
            Ok(Some(Snapshot { title: None, shared_at: START, expires_at: None, messages }))
        });
    links.expect_read().returning(|_, _, _| Ok(None));
    let service = service(links, None);

    assert_eq!(service.read("abc", FIRST).await.unwrap().shared_at, START);
    for token in ["", "../..", "ab"] {
        let error = service.read(token, FIRST).await.unwrap_err();
        assert_eq!(error.classify().1, "shared_link_not_found");
    }
}
