use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use chrono::TimeDelta;
use futures::stream;
use repartee_domain::{
    accounts::Role,
    conversations::ConversationChanges,
    messages::MessageStatus,
    transfer::{Node, Said},
};
use uuid::Uuid;

use super::*;
use crate::{
    ports::{
        Done, MockClock, MockConversationRepository, MockIdGenerator, MockIdempotencyKeys,
        MockMessageRepository, MockTransferRepository, NewKey, UsedKey,
    },
    replies::fixture::{ACTOR, START},
    transfer::TransferPorts,
};

/// What is stored, and under which keys.
#[derive(Default)]
struct Store {
    brought: Mutex<Vec<Brought>>,
    keys: Mutex<HashMap<String, UsedKey>>,
    /// The commit with this number fails.
    fails_at: Option<usize>,
}

impl Store {
    fn used(&self, key: &str) -> Option<UsedKey> {
        self.keys.lock().unwrap().get(key).copied()
    }

    fn insert(&self, brought: Brought, key: Option<NewKey>) -> Result<Option<UsedKey>, PortError> {
        let mut stored = self.brought.lock().unwrap();
        if self.fails_at == Some(stored.len()) {
            return Err(PortError::Unavailable("it is away".into()));
        }
        if let Some(NewKey { key, fingerprint, .. }) = key {
            let done = Done::Resource(brought.conversation.id.as_uuid());
            self.keys.lock().unwrap().insert(key, UsedKey { fingerprint, done });
        }
        stored.push(brought);
        Ok(None)
    }

    fn count(&self) -> usize {
        self.brought.lock().unwrap().len()
    }

    /// A service over what is stored; what was deleted is not found.
    fn service(self: &Arc<Self>, are_deleted: bool) -> TransferService {
        let mut clock = MockClock::new();
        clock.expect_now().return_const(START);
        let next = AtomicU64::new(self.count() as u64 * 100);
        let mut ids = MockIdGenerator::new();
        ids.expect_id().returning(move || Uuid::from_u64_pair(7, next.fetch_add(1, Relaxed)));
        ids.expect_random().return_const([7; 32]);
        let (mut keys, store) = (MockIdempotencyKeys::new(), Arc::clone(self));
        keys.expect_find().returning(move |_, _, key, _| Ok(store.used(key)));
        let (mut transfers, store) = (MockTransferRepository::new(), Arc::clone(self));
        transfers.expect_insert().returning(move |brought, key, _| store.insert(brought, key));
        let (mut conversations, store) = (MockConversationRepository::new(), Arc::clone(self));
        conversations.expect_find().returning(move |_, reference| {
            let stored = store.brought.lock().unwrap();
            let mut all = stored.iter().map(|brought| &brought.conversation);
            let found = all.find(|conversation| reference == conversation.id.into());
            Ok(found.filter(|_| !are_deleted).cloned())
        });
        TransferService::new(TransferPorts {
            conversations: Arc::new(conversations),
            messages: Arc::new(MockMessageRepository::new()),
            transfers: Arc::new(transfers),
            keys: Arc::new(keys),
            clock: Arc::new(clock),
            ids: Arc::new(ids),
        })
    }
}

fn said(role: MessageRole, hours_ago: i64) -> Said {
    Said {
        role,
        content: "Tea".into(),
        status: MessageStatus::Complete,
        model: Some("small".into()),
        at: Some(START - TimeDelta::hours(hours_ago)),
    }
}

/// A question, and as many answers to it.
fn draft(title: &str, answers: usize) -> Draft {
    let question = Node { parent: None, said: Some(said(MessageRole::User, 9)) };
    let answer = |_| Node { parent: Some(0), said: Some(said(MessageRole::Assistant, 8)) };
    Draft {
        about: ConversationChanges {
            title: Some(Some(title.into())),
            ..ConversationChanges::default()
        },
        nodes: std::iter::once(question).chain((0..answers).map(answer)).collect(),
        ..Draft::default()
    }
}

fn good(title: &str) -> Entry {
    Entry { title: Some(title.into()), draft: Ok(draft(title, 1)) }
}

fn bad(title: &str) -> Entry {
    let error = FieldError::new("format", "unknown_format", "must be known");
    Entry { title: Some(title.into()), draft: Err(error) }
}

async fn import(
    store: &Arc<Store>,
    file: impl IntoIterator<Item = Entry>,
    fingerprint: Option<u8>,
) -> Result<Import, AppError> {
    import_to(&store.service(false), file, fingerprint).await
}

async fn import_to(
    service: &TransferService,
    file: impl IntoIterator<Item = Entry>,
    fingerprint: Option<u8>,
) -> Result<Import, AppError> {
    let key = fingerprint.map(|n| IdempotencyKey::parse("k", [n; 32]).unwrap());
    let permit = service.begin_import(&ACTOR).await?;
    service.import(&ACTOR, permit, stream::iter(file), key).await
}

fn ids(import: &Import) -> Vec<ConversationId> {
    import.imported.iter().map(|imported| imported.conversation.id).collect()
}

#[tokio::test]
async fn a_chain_is_stored_as_if_it_had_been_said_here() {
    let store = Arc::new(Store::default());
    let mut draft = draft("Tea", 1);
    draft.nodes.push(Node { parent: Some(1), said: Some(said(MessageRole::User, 7)) });
    import(&store, [Entry { title: None, draft: Ok(draft) }], None).await.unwrap();

    let stored = store.brought.lock().unwrap();
    let Brought { conversation, messages } = &stored[0];
    let [question, reply, next] = &messages[..] else { panic!("{messages:?}") };
    assert_eq!((conversation.owner, conversation.is_branched), (ACTOR.user, false));
    assert_eq!(conversation.created_at, START - TimeDelta::hours(9));
    assert_eq!(conversation.last_message_at, Some(START - TimeDelta::hours(7)));
    let parents = (question.parent, reply.parent, next.parent);
    assert_eq!(parents, (None, Some(question.id), None));
    assert!(question.id < reply.id && reply.id < next.id);
    assert_eq!(reply.created_at, START - TimeDelta::hours(8));
    assert_eq!(reply.writing, Some(Writing::elsewhere("small".into())));
    assert_eq!(question.writing, None);
}

#[tokio::test]
async fn each_message_of_a_tree_says_what_it_follows() {
    let store = Arc::new(Store::default());
    let entry = Entry { title: None, draft: Ok(draft("Tea", 3)) };
    import(&store, [entry], None).await.unwrap();

    let stored = store.brought.lock().unwrap();
    assert!(stored[0].conversation.is_branched);
    let messages = &stored[0].messages;
    assert!(messages[1..].iter().all(|reply| reply.parent == Some(messages[0].id)));
}

#[tokio::test]
async fn what_cannot_be_stored_is_told_and_the_rest_is_stored() {
    let store = Arc::new(Store::default());
    let import = import(&store, [bad("a"), good("b"), bad("c"), good("d")], None).await.unwrap();

    let imported: Vec<_> = import.imported.iter().map(|one| (one.index, one.messages)).collect();
    assert_eq!(imported, [(1, 2), (3, 2)]);
    let skipped: Vec<_> =
        import.skipped.iter().map(|one| (one.index, one.title.as_deref().unwrap())).collect();
    assert_eq!(skipped, [(0, "a"), (2, "c")]);
}

#[tokio::test]
async fn a_file_of_which_nothing_can_be_stored_is_refused() {
    let store = Arc::new(Store::default());
    for (file, detail) in [
        (vec![], "must have a conversation"),
        (vec![bad("a")], "must be known"),
        (vec![bad("a"), bad("b")], "conversation 1: must be known"),
    ] {
        let refused = import(&store, file, None).await.unwrap_err();
        let AppError::Invalid(errors) = refused else { panic!("{refused:?}") };
        assert_eq!(errors[0].detail, detail);
    }
}

#[tokio::test]
async fn repeated_with_its_key_a_file_is_stored_once() {
    let store = Arc::new(Store::default());
    let file = || [good("a"), bad("b"), good("c")];
    let first = import(&store, file(), Some(1)).await.unwrap();
    let again = import(&store, file(), Some(1)).await.unwrap();

    assert_eq!(ids(&first), ids(&again));
    assert_eq!((store.count(), again.skipped.len()), (2, 1));
    let other = import(&store, [bad("b"), good("d")], Some(2)).await.unwrap_err();
    assert_eq!(other.classify().1, "idempotency_key_reused");
    assert_eq!(store.count(), 2, "nothing of it is stored");
}

#[tokio::test]
async fn what_was_cut_off_goes_on_where_it_was() {
    let store = Arc::new(Store { fails_at: Some(1), ..Store::default() });
    let file = || [good("a"), good("b")];
    assert_eq!(import(&store, file(), Some(1)).await.unwrap_err().classify().1, "unavailable");
    let mended = Arc::new(Store {
        brought: Mutex::new(store.brought.lock().unwrap().clone()),
        keys: Mutex::new(store.keys.lock().unwrap().clone()),
        fails_at: None,
    });

    let import = import(&mended, file(), Some(1)).await.unwrap();

    assert_eq!(import.imported.len(), 2);
    assert_eq!(mended.count(), 2, "the first is not stored twice");
}

#[tokio::test]
async fn what_was_deleted_since_is_told() {
    let store = Arc::new(Store::default());
    import(&store, [good("a")], Some(1)).await.unwrap();
    let service = store.service(true);
    let refused = import_to(&service, [good("a")], Some(1)).await.unwrap_err();
    let AppError::Invalid(errors) = refused else { panic!("{refused:?}") };
    assert_eq!(errors[0].code, "already_done");
}

#[tokio::test]
async fn guests_bring_nothing() {
    let guest = Actor { role: Role::Guest, ..ACTOR };
    let refused = Arc::new(Store::default()).service(false).begin_import(&guest).await;
    assert_eq!(refused.unwrap_err().classify().1, "forbidden");
}

#[tokio::test]
async fn only_so_many_files_are_in_memory_at_once() {
    let service = Arc::new(Store::default()).service(false);
    let mut permits = Vec::new();
    for n in 0..super::super::IMPORTS_AT_ONCE as u128 {
        let user = UserId::from_uuid(Uuid::from_u128(100 + n));
        permits.push(service.begin_import(&Actor { user, ..ACTOR }).await.unwrap());
    }
    let mut next = pin!(service.begin_import(&ACTOR));
    assert!(futures::poll!(next.as_mut()).is_pending());
    permits.pop();
    next.await.unwrap();
}

#[tokio::test]
async fn nobody_takes_all_the_places() {
    let service = Arc::new(Store::default()).service(false);
    let first = service.begin_import(&ACTOR).await.unwrap();
    let _second = service.begin_import(&ACTOR).await.unwrap();

    let refused = service.begin_import(&ACTOR).await.unwrap_err();
    assert_eq!(refused.classify().1, "rate_limited");

    drop(first);
    service.begin_import(&ACTOR).await.unwrap();
}
