use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use repartee_domain::{PersonaId, ProjectId, conversations::Shape};

use super::*;
use crate::{
    ports::{
        MockClock, MockConversationRepository, MockGuestRepository, MockIdGenerator,
        MockShapeRepository, MockTokenSigner,
    },
    replies::fixture::START,
};

const SESSION: Uuid = Uuid::from_u128(0x3f1f_0c5e_9f5d_4d4e_8a3e_0a2b_6c7d_8e9f);
const OWNER: UserId = UserId::from_uuid(Uuid::from_u128(50));

fn service(guests: MockGuestRepository) -> GuestService {
    service_saving(guests, MockConversationRepository::new())
}

/// In which any persona but 9 can be chosen.
fn service_saving(
    guests: MockGuestRepository,
    conversations: MockConversationRepository,
) -> GuestService {
    let mut shapes = MockShapeRepository::new();
    shapes.expect_choosable().returning(|_, asked| {
        Ok(Shape { persona: asked.persona.filter(|id| id.get() != 9), project: None })
    });
    let mut signer = MockTokenSigner::new();
    signer.expect_hash_secret().returning(|secret| {
        let mut hash = [0; 32];
        hash.copy_from_slice(&secret.as_bytes()[..32]);
        SecretHash(hash)
    });
    let mut clock = MockClock::new();
    clock.expect_now().return_const(START);
    let counter = AtomicU8::new(1);
    let mut ids = MockIdGenerator::new();
    ids.expect_id().returning(move || Uuid::from_u128(counter.fetch_add(1, Relaxed).into()));
    ids.expect_random().return_const([7; 32]);
    let ports = GuestPorts {
        guests: Arc::new(guests),
        conversations: Arc::new(conversations),
        shapes: Arc::new(shapes),
        signer: Arc::new(signer),
        clock: Arc::new(clock),
        ids: Arc::new(ids),
    };
    GuestService::new(ports, GuestRules { are_welcome: true, kept: TimeDelta::days(1) })
}

fn known() -> Conversation {
    let id = ConversationId::from_uuid(Uuid::from_u128(51));
    Conversation::begin(id, "ABCDEFGHIJ01".parse().unwrap(), OWNER, Subject::default(), START)
}

async fn open(
    service: &GuestService,
    session: Option<Uuid>,
    about: ConversationChanges,
) -> Result<Visit, AppError> {
    let stranger = service.stranger(Origin::default()).unwrap().actor;
    service.open(&stranger, session, about, None).await
}

#[tokio::test]
async fn a_new_conversation_comes_with_a_guest_who_owns_it_and_expires() {
    let mut guests = MockGuestRepository::new();
    guests.expect_find().returning(|_, _| Ok(None));
    guests
        .expect_begin()
        .withf(|guest, conversation, key, expires_at| {
            guest.role == Role::Guest
                && guest.email.as_str() == format!("{}@guest.invalid", guest.id)
                && conversation.owner == guest.id
                && key.0.starts_with(b"07070707-0707-4707-8707")
                && *expires_at == START + TimeDelta::days(1)
        })
        .once()
        .returning(|_, _, _, _| Ok(()));

    let visit = open(&service(guests), None, ConversationChanges::default()).await.unwrap();

    assert_eq!(visit.session.get_version_num(), 4);
    assert_eq!(visit.actor.user, visit.conversation.owner);
    assert_eq!((visit.actor.role, visit.actor.credential), (Role::Guest, Credential::Guest));
}

#[tokio::test]
async fn who_knows_the_id_is_the_guest_whose_conversation_it_is() {
    let mut guests = MockGuestRepository::new();
    guests.expect_find().withf(|_, now| *now == START).returning(|_, _| Ok(Some(known())));

    let about = ConversationChanges::default();
    let visit = open(&service(guests), Some(SESSION), about).await.unwrap();

    assert_eq!((visit.actor.user, visit.session), (OWNER, SESSION));
}

fn with_persona(id: i64) -> ConversationChanges {
    let persona = Some(Some(PersonaId::new(id)));
    ConversationChanges { persona, ..ConversationChanges::default() }
}

#[tokio::test]
async fn a_guest_chooses_a_persona_and_another_later() {
    let mut guests = MockGuestRepository::new();
    let mut found = [None, Some(known())].into_iter();
    guests.expect_find().returning(move |_, _| Ok(found.next().unwrap()));
    guests.expect_begin().once().returning(|_, _, _, _| Ok(()));
    let mut conversations = MockConversationRepository::new();
    conversations.expect_save().once().returning(|saved, _| Ok(saved));
    let service = service_saving(guests, conversations);
    for id in [4, 5] {
        let visit = open(&service, Some(SESSION), with_persona(id)).await.unwrap();
        assert_eq!(visit.conversation.subject.shape.persona, Some(PersonaId::new(id)));
    }
}

#[tokio::test]
async fn of_two_that_begin_at_once_the_slower_joins_the_other() {
    let mut guests = MockGuestRepository::new();
    let mut found = [None, Some(known())].into_iter();
    guests.expect_find().returning(move |_, _| Ok(found.next().unwrap()));
    guests.expect_begin().returning(|_, _, _, _| Err(PortError::Taken { field: "session_id" }));

    let about = ConversationChanges::default();
    let visit = open(&service(guests), Some(SESSION), about).await.unwrap();

    assert_eq!(visit.conversation, known());
}

// In these nothing is begun.

#[tokio::test]
async fn a_guest_may_not_choose_a_model_nor_say_as_much_as_a_user() {
    let system_message = |length| ConversationChanges {
        system_message: Some(Some("s".repeat(length))),
        ..ConversationChanges::default()
    };
    let model =
        ConversationChanges { model: Some(Some("large".into())), ..ConversationChanges::default() };
    let in_project = ConversationChanges {
        project: Some(Some(ProjectId::new(1))),
        ..ConversationChanges::default()
    };
    for (about, code) in [
        (model, "forbidden"),
        (system_message(2_001), "invalid_fields"),
        (with_persona(9), "invalid_fields"),
        (in_project, "invalid_fields"),
    ] {
        let mut guests = MockGuestRepository::new();
        guests.expect_find().returning(|_, _| Ok(None));
        let refused = open(&service(guests), Some(SESSION), about).await.unwrap_err();
        assert_eq!(refused.classify().1, code);
    }
    let mut guests = MockGuestRepository::new();
    guests.expect_find().returning(|_, _| Ok(None));
    guests.expect_begin().once().returning(|_, _, _, _| Ok(()));
    open(&service(guests), Some(SESSION), system_message(2_000)).await.unwrap();
}

#[tokio::test]
async fn an_id_that_anybody_would_guess_is_refused() {
    for session in [Uuid::nil(), Uuid::max()] {
        let service = service(MockGuestRepository::new());
        let about = ConversationChanges::default();
        let refused = open(&service, Some(session), about).await.unwrap_err();
        let AppError::Invalid(errors) = refused else { panic!("{refused}") };
        assert_eq!(errors[0].field, "session_id");
    }
}

#[tokio::test]
async fn where_guests_are_not_welcome_nobody_is_let_in() {
    let mut service = service(MockGuestRepository::new());
    service.rules.are_welcome = false;
    let refused = service.stranger(Origin::default()).unwrap_err();
    assert_eq!(refused.classify().1, "unauthenticated");
}
