//! A folder.

use std::{
    fs,
    future::{Ready, ready},
    path::Path,
};

use repartee_application::ports::{ObjectStore, PortError};
use repartee_infrastructure::objects::LocalObjectStore;
use tempfile::TempDir;

use crate::contract::{KEY, keeps_the_contract, pieces, tea};

keeps_the_contract!(super::local::folder);

/// That is yet to be made.
fn folder() -> Ready<(LocalObjectStore, TempDir)> {
    let site = tempfile::tempdir().unwrap();
    ready((LocalObjectStore::new(site.path().join("data/files")), site))
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder.join("data/files")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test]
async fn nothing_half_written_stays_and_what_a_dead_process_left_goes() {
    let (store, site) = folder().await;
    store.put(KEY, pieces(vec![Err("cut off")])).await.unwrap_err();
    assert_eq!(names(site.path()), Vec::<String>::new());

    fs::write(site.path().join(format!("data/files/{KEY}.part")), "Te").unwrap();
    store.delete(KEY).await.unwrap();
    assert_eq!(names(site.path()), Vec::<String>::new());
    store.put(KEY, tea()).await.unwrap();
    assert_eq!(names(site.path()), [KEY.to_string()]);
}

#[tokio::test]
async fn a_folder_that_cannot_be_is_unavailable() {
    let site = tempfile::tempdir().unwrap();
    fs::write(site.path().join("data"), "no folder").unwrap();
    let store = LocalObjectStore::new(site.path().join("data/files"));
    assert!(matches!(store.put(KEY, tea()).await, Err(PortError::Unavailable(_))));
}
