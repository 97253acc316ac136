//! The contracts of `FileRepository` and `ObjectLedger`.

use chrono::{DateTime, Utc};
use futures::future::join_all;
use repartee_application::{
    PageRequest,
    ports::{
        FileRepository, Made, NewFile, NewKey, ObjectLedger, PortError, ProjectRepository, UsedKey,
    },
};
use repartee_domain::{
    FileId, ObjectKey, ProjectId,
    files::{Content, File, FileName},
};
use uuid::Uuid;

use crate::{
    databases::{TestDatabase, on_both_databases},
    fixtures::{NOW, at, key, user_id},
};

on_both_databases!(
    a_file_is_kept_as_it_is,
    files_come_newest_first_page_by_page,
    of_many_files_at_once_as_many_are_stored_as_there_may_be,
    of_one_request_sent_many_times_at_once_one_makes_a_file,
    a_file_without_a_reservation_is_not_stored,
    what_is_reserved_in_vain_is_deleted_when_its_time_has_come,
    what_is_taken_comes_again_unless_it_is_forgotten,
    whatever_deletes_a_file_its_object_is_deleted,
);

const LATER: i64 = 3_600;

fn object(n: u32) -> ObjectKey {
    ObjectKey::from_uuid(Uuid::from_u128(n.into()))
}

fn new_file(owner: u32, project: ProjectId, n: u32) -> NewFile {
    let content = Content {
        name: FileName::shown("ชาเขียว 🍵.md"),
        media_type: "text/markdown".into(),
        bytes: 1 << 40,
        sha256: [7; 32],
        object: object(n),
    };
    NewFile { project, owner: user_id(owner), content, reserved_until: at(LATER), now: NOW }
}

impl TestDatabase {
    async fn try_file(
        &self,
        file: NewFile,
        most: u32,
        key: Option<NewKey>,
    ) -> Result<Option<Made<File>>, PortError> {
        self.ledger().reserve(file.content.object, at(LATER)).await.unwrap();
        self.files().insert(file, most, key).await
    }

    async fn with_file(&self, owner: u32, project: ProjectId, n: u32) -> File {
        match self.try_file(new_file(owner, project, n), 100, None).await.unwrap() {
            Some(Made::Now(file)) => file,
            other => panic!("{other:?}"),
        }
    }

    /// Those that are to be deleted by then.
    async fn doomed(&self, now: DateTime<Utc>) -> Vec<ObjectKey> {
        let mut taken = self.ledger().take(now, at(99_999), 100).await.unwrap();
        taken.sort();
        taken
    }
}

async fn a_file_is_kept_as_it_is(db: &TestDatabase) {
    db.with_user(1).await;
    let project = db.with_project(1).await.id;

    let file = db.with_file(1, project, 1).await;

    let NewFile { content, .. } = new_file(1, project, 1);
    let owner = user_id(1);
    assert_eq!(file, File { id: file.id, project, owner, content, created_at: NOW });
    assert_eq!(db.files().find(file.id).await.unwrap(), Some(file));
    assert_eq!(db.files().find(FileId::new(-1)).await.unwrap(), None);
    assert_eq!(db.count("doomed_objects").await, 0, "it is reserved no more");
}

async fn files_come_newest_first_page_by_page(db: &TestDatabase) {
    db.with_user(1).await;
    let (project, other) = (db.with_project(1).await.id, db.with_project(1).await.id);
    for n in 1..=5 {
        db.with_file(1, project, n).await;
        db.with_file(1, other, n + 10).await;
    }
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = db.files().list(project, PageRequest { limit: 2, after }).await.unwrap();
        seen.extend(page.items.iter().map(|file| file.content.object));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, [5, 4, 3, 2, 1].map(object));
}

async fn of_many_files_at_once_as_many_are_stored_as_there_may_be(db: &TestDatabase) {
    db.with_user(1).await;
    let project = db.with_project(1).await.id;
    let all = join_all((1..=8).map(|n| db.try_file(new_file(1, project, n), 3, None))).await;
    let stored = all.into_iter().filter(|made| matches!(made, Ok(Some(Made::Now(_))))).count();
    assert_eq!((stored, db.count("files").await), (3, 3));
    // Those that were not are still reserved, so that they are deleted.
    assert_eq!(db.count("doomed_objects").await, 5);
}

async fn of_one_request_sent_many_times_at_once_one_makes_a_file(db: &TestDatabase) {
    db.with_user(1).await;
    let project = db.with_project(1).await.id;
    let send = |n| db.try_file(new_file(1, project, n), 1, Some(key("k", at(LATER))));
    let all = join_all((1..=6).map(send)).await;
    let mut made = Vec::new();
    let mut before = 0;
    for one in all {
        match one.unwrap().unwrap() {
            Made::Now(file) => made.push(file),
            Made::Before(UsedKey { .. }) => before += 1,
        }
    }
    assert_eq!((made.len(), before), (1, 5));
    assert_eq!(db.count("doomed_objects").await, 5);
}

async fn a_file_without_a_reservation_is_not_stored(db: &TestDatabase) {
    db.with_user(1).await;
    let project = db.with_project(1).await.id;
    let never = db.files().insert(new_file(1, project, 1), 9, None).await;
    assert!(matches!(never, Err(PortError::Stale)), "{never:?}");

    db.ledger().reserve(object(2), at(LATER)).await.unwrap();
    assert_eq!(db.doomed(at(LATER)).await, [object(2)]);
    let taken = db.files().insert(new_file(1, project, 2), 9, None).await;
    assert!(matches!(taken, Err(PortError::Stale)), "somebody is deleting it: {taken:?}");

    let nowhere = db.try_file(new_file(1, ProjectId::new(-1), 3), 9, None).await;
    assert!(matches!(nowhere, Err(PortError::Stale)), "{nowhere:?}");
    assert_eq!(db.count("files").await, 0);
}

async fn what_is_reserved_in_vain_is_deleted_when_its_time_has_come(db: &TestDatabase) {
    for n in 1..=3 {
        db.ledger().reserve(object(n), at(n.into())).await.unwrap();
    }
    db.ledger().release(object(3), NOW).await.unwrap();
    assert_eq!(db.doomed(at(1)).await, [1, 3].map(object));
    assert_eq!(db.doomed(at(2)).await, [object(2)]);
}

async fn what_is_taken_comes_again_unless_it_is_forgotten(db: &TestDatabase) {
    for n in 1..=5 {
        db.ledger().reserve(object(n), at(n.into())).await.unwrap();
    }
    let ledger = db.ledger();
    let mut first = ledger.take(at(9), at(20), 3).await.unwrap();
    first.sort();
    assert_eq!(first, [1, 2, 3].map(object), "what waits longest comes first");
    ledger.forget(vec![object(1), object(3)]).await.unwrap();
    assert_eq!(db.doomed(at(9)).await, [4, 5].map(object));
    assert_eq!(db.doomed(at(19)).await, []);
    assert_eq!(db.doomed(at(20)).await, [object(2)]);
    ledger.forget(Vec::new()).await.unwrap();

    for n in 6..=25 {
        ledger.reserve(object(n), NOW).await.unwrap();
    }
    let takers = join_all((0..4).map(|_| ledger.take(NOW, at(1), 5))).await;
    let mut taken: Vec<_> = takers.into_iter().flat_map(Result::unwrap).collect();
    taken.extend(ledger.take(NOW, at(1), 20).await.unwrap());
    taken.sort();
    assert_eq!(taken, (6..=25).map(object).collect::<Vec<_>>(), "none is taken twice");
}

async fn whatever_deletes_a_file_its_object_is_deleted(db: &TestDatabase) {
    db.with_user(1).await;
    db.with_user(2).await;
    let (first, second) = (db.with_project(1).await.id, db.with_project(2).await.id);
    let file = db.with_file(1, first, 1).await;
    db.with_file(1, first, 2).await;
    db.with_file(1, second, 3).await;
    db.with_file(2, second, 4).await;

    assert!(db.files().delete(file.id).await.unwrap());
    assert!(!db.files().delete(file.id).await.unwrap());
    assert_eq!(db.doomed(NOW).await, [object(1)]);
    assert!(db.projects().delete(first).await.unwrap());
    assert_eq!(db.doomed(NOW).await, [object(2)]);
    // Who uploaded it goes, and it with them.
    db.execute("DELETE FROM users WHERE email = 'user1@example.com'").await;
    assert_eq!(db.doomed(NOW).await, [object(3)]);
    db.execute("DELETE FROM users").await;
    assert_eq!(db.doomed(NOW).await, [object(4)]);
    assert_eq!(db.count("files").await, 0);
}
