use std::sync::Mutex;

use chrono::TimeDelta;
use futures::TryStreamExt;
use repartee_domain::{ProjectId, files::FileName, projects::ProjectRole};
use sha2::{Digest, Sha256};

use super::{fixture::*, *};
use crate::{
    IdempotencyKey,
    ports::{Done, Made, MockFileRepository, MockObjectLedger, MockObjectStore, UsedKey},
    projects::fixture::*,
};

const EDITOR: Option<ProjectRole> = Some(ProjectRole::Editor);

fn code<T>(result: Result<T, AppError>) -> &'static str {
    result.err().map_or("fine", |error| error.classify().1)
}

fn reading(role: Option<ProjectRole>, files: MockFileRepository) -> FileService {
    service(role, files, MockObjectStore::new(), MockObjectLedger::new())
}

async fn upload(
    service: &FileService,
    bytes: ByteStream<'static>,
    key: Option<IdempotencyKey>,
) -> Result<File, AppError> {
    service.upload(&actor(), PROJECT, FileName::shown("a/tea.md"), bytes, key).await
}

#[tokio::test]
async fn who_is_no_member_finds_nothing_and_a_viewer_only_reads() {
    for (role, read, edit) in [
        (None, ["project_not_found", "file_not_found"], ["project_not_found", "file_not_found"]),
        (Some(ProjectRole::Viewer), ["fine", "fine"], ["forbidden", "forbidden"]),
    ] {
        let mut files = holding();
        files.expect_list().returning(|_, _| Ok(Page { items: vec![file()], next: None }));
        let service = reading(role, files);
        assert_eq!(code(service.all(&actor(), PROJECT).await), read[0]);
        assert_eq!(code(service.find(&actor(), ADDRESS).await), read[1]);
        assert_eq!(code(service.may_upload(&actor(), PROJECT).await), edit[0]);
        assert_eq!(code(upload(&service, pieces(vec![]), None).await), edit[0]);
        assert_eq!(code(service.delete(&actor(), ADDRESS).await), edit[1]);
    }
}

#[tokio::test]
async fn a_file_is_found_in_its_project_alone() {
    let service = reading(EDITOR, holding());
    for (project, id, expected) in [
        (Some(PROJECT), ID, "fine"),
        (None, ID, "fine"),
        (Some(ProjectId::new(6)), ID, "project_not_found"),
        (Some(PROJECT), FileId::new(9), "file_not_found"),
    ] {
        assert_eq!(code(service.find(&actor(), FileAddress { project, id }).await), expected);
    }
    let mut files = MockFileRepository::new();
    files.expect_find().returning(|_| Ok(Some(File { project: ProjectId::new(6), ..file() })));
    let address = FileAddress { project: Some(PROJECT), id: ID };
    assert_eq!(code(reading(EDITOR, files).find(&actor(), address).await), "file_not_found");
}

#[tokio::test]
async fn a_file_is_what_its_bytes_are() {
    let mut files = MockFileRepository::new();
    files
        .expect_insert()
        .withf(|file, most, key| {
            (*most, key, file.reserved_until) == (1_000, &None, NOW + TimeDelta::hours(1))
        })
        .once()
        .returning(|file, _, _| Ok(Some(Made::Now(stored(file)))));
    let service = service(EDITOR, files, store(), ledger(false));

    let file = upload(&service, pieces(vec![Ok("# Te"), Ok("a")]), None).await.unwrap();

    assert_eq!((file.content.name.as_str(), file.content.bytes), ("tea.md", 5));
    assert_eq!(file.content.media_type, "text/markdown");
    assert_eq!(file.content.sha256, <[u8; 32]>::from(Sha256::digest("# Tea")));
    assert_eq!((file.owner, file.content.object), (actor().user, OBJECT));
}

#[tokio::test]
async fn what_comes_to_nothing_lets_its_object_go() {
    let refusing = |answer: fn() -> Result<Option<Made<File>>, PortError>| {
        let mut files = MockFileRepository::new();
        files.expect_insert().returning(move |_, _, _| answer());
        files
    };
    for (files, bytes, expected) in [
        (MockFileRepository::new(), vec![], "invalid_fields"),
        (MockFileRepository::new(), vec![Ok("Tea"), Err("cut off")], "unavailable"),
        (refusing(|| Ok(None)), vec![Ok("Tea")], "too_many_files"),
        (refusing(|| Err(PortError::Stale)), vec![Ok("Tea")], "project_not_found"),
    ] {
        let service = service(EDITOR, files, store(), ledger(true));
        assert_eq!(code(upload(&service, pieces(bytes), None).await), expected);
    }
}

#[tokio::test]
async fn the_same_bytes_under_the_same_key_are_one_file() {
    let first: Arc<Mutex<Option<[u8; 32]>>> = Arc::default();
    for (bytes, is_there, expected) in [
        ("Tea", true, "fine"),
        ("Tea", false, "already_done"),
        ("Coffee", true, "idempotency_key_reused"),
    ] {
        let mut files = if is_there { holding() } else { MockFileRepository::new() };
        files.expect_find().returning(|_| Ok(None));
        let first = Arc::clone(&first);
        files.expect_insert().returning(move |_, _, key| {
            let fingerprint = *first.lock().unwrap().get_or_insert(key.unwrap().fingerprint);
            let done = Done::Resource(ID.as_uuid());
            Ok(Some(Made::Before(UsedKey { fingerprint, done })))
        });
        let service = service(EDITOR, files, store(), ledger(true));
        let key = IdempotencyKey::parse("k", [1; 32]).unwrap();
        let made = upload(&service, pieces(vec![Ok(bytes)]), Some(key)).await;
        assert_eq!(code(made), expected, "{bytes}");
    }
}

#[tokio::test]
async fn a_file_is_opened_and_one_without_its_object_is_a_failure() {
    for (is_there, expected) in [(true, "fine"), (false, "internal")] {
        let mut objects = MockObjectStore::new();
        objects.expect_get().returning(move |_| Ok(is_there.then(|| pieces(vec![Ok("Tea")]))));
        let service = service(EDITOR, holding(), objects, MockObjectLedger::new());
        let opened = service.open(&actor(), ADDRESS).await;
        if let Ok((found, bytes)) = opened {
            let bytes: Vec<_> = bytes.try_collect().await.unwrap();
            assert_eq!((found, bytes.concat()), (file(), b"Tea".to_vec()));
            assert!(is_there);
        } else {
            assert_eq!(code(opened), expected);
        }
    }
}

#[tokio::test]
async fn what_cannot_be_deleted_now_is_not_forgotten() {
    let keys =
        [70, 71, 72].map(|n| repartee_domain::ObjectKey::from_uuid(uuid::Uuid::from_u128(n)));
    let mut ledger = MockObjectLedger::new();
    ledger
        .expect_take()
        .withf(|now, again, limit| (*now, *again, *limit) == (NOW, NOW + TimeDelta::minutes(10), 9))
        .returning(move |_, _, _| Ok(keys.to_vec()));
    ledger
        .expect_forget()
        .withf(move |gone| *gone == [keys[0], keys[2]])
        .once()
        .returning(|_| Ok(()));
    let mut objects = MockObjectStore::new();
    objects.expect_delete().times(3).returning(move |key| {
        let is_away = key == keys[1];
        if is_away { Err(PortError::Unavailable("away".into())) } else { Ok(()) }
    });
    let sweeper = ObjectSweeper { objects: Arc::new(objects), ledger: Arc::new(ledger) };
    assert_eq!(sweeper.sweep(NOW, 9).await.unwrap(), 3);
}
