//! What may depend on what, and what every crate has in common.
#![cfg(test)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

/// Where a crate may name anything outside the workspace.
const ANYTHING_ELSE: &str = "*";

/// Each crate, and what it may name under `[dependencies]`. Dependencies point inwards: from the
/// bottom of this list to its top.
const ALLOWED: [(&str, &[&str]); 8] = [
    ("repartee-domain", &["chrono", "infer", "thiserror", "unicode-normalization", "uuid"]),
    (
        "repartee-application",
        &[
            "repartee-domain",
            "async-trait",
            "base64",
            "bytes",
            "chrono",
            "futures",
            "mockall",
            "secrecy",
            "sha2",
            "thiserror",
            "tokio",
            "tokio-util",
            "tracing",
            "uuid",
        ],
    ),
    ("repartee-migration", &["async-trait", "sea-orm-migration"]),
    (
        "repartee-infrastructure",
        &["repartee-application", "repartee-domain", "repartee-migration", ANYTHING_ELSE],
    ),
    ("repartee-local-models", &["repartee-application", "repartee-domain", ANYTHING_ELSE]),
    (
        "repartee-api",
        &[
            "repartee-application",
            "repartee-domain",
            "actix-cors",
            "actix-multipart",
            "actix-web",
            "actix-ws",
            "base64",
            "bytes",
            "chrono",
            "form_urlencoded",
            "futures",
            "secrecy",
            "serde",
            "serde_json",
            "serde_path_to_error",
            "sha2",
            "thiserror",
            "tokio",
            "tokio-util",
            "tracing",
            "utoipa",
            "utoipa-swagger-ui",
            "uuid",
        ],
    ),
    (
        "repartee-server",
        &[
            "repartee-api",
            "repartee-application",
            "repartee-domain",
            "repartee-infrastructure",
            "repartee-local-models",
            ANYTHING_ELSE,
        ],
    ),
    ("repartee-tests", &[ANYTHING_ELSE]),
];

fn metadata() -> Metadata {
    MetadataCommand::new().no_deps().exec().unwrap()
}

fn dependencies(package: &Package) -> impl Iterator<Item = &str> {
    let normal = package.dependencies.iter().filter(|one| one.kind == DependencyKind::Normal);
    normal.map(|dependency| dependency.name.as_str())
}

#[test]
fn every_crate_is_on_the_list() {
    let metadata = metadata();
    let found: BTreeSet<_> =
        metadata.packages.iter().map(|package| package.name.as_str()).collect();
    let listed: BTreeSet<_> = ALLOWED.iter().map(|(name, _)| *name).collect();
    assert_eq!(found, listed);
}

#[test]
fn dependencies_point_inwards() {
    let metadata = metadata();
    let workspace: BTreeSet<_> =
        metadata.packages.iter().map(|package| package.name.as_str()).collect();
    let allowed: BTreeMap<_, _> = ALLOWED.into_iter().collect();
    for package in &metadata.packages {
        let allowed = allowed.get(package.name.as_str()).copied().unwrap_or_default();
        for dependency in dependencies(package) {
            let is_allowed = allowed.contains(&dependency)
                || (allowed.contains(&ANYTHING_ELSE) && !workspace.contains(dependency));
            assert!(is_allowed, "{} must not depend on {dependency}", package.name);
        }
    }
}

#[test]
fn what_is_allowed_is_also_used() {
    for package in &metadata().packages {
        let used: BTreeSet<_> = dependencies(package).collect();
        let listed = ALLOWED.iter().find(|(name, _)| *name == package.name.as_str());
        for name in listed.map_or(&[][..], |(_, names)| names) {
            assert!(
                *name == ANYTHING_ELSE || used.contains(name),
                "{} no longer depends on {name}",
                package.name
            );
        }
    }
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    for package in &metadata().packages {
        let manifest = fs::read_to_string(&package.manifest_path).unwrap();
        assert!(manifest.contains("[lints]\nworkspace = true\n"), "{}", package.manifest_path);
    }
}

#[test]
fn every_file_opens_with_what_it_is_for_and_none_is_called_mod_rs() {
    for file in sources() {
        assert_ne!(file.file_name().unwrap(), "mod.rs", "{}", file.display());
        let text = fs::read_to_string(&file).unwrap();
        // What is tested in `foo/tests.rs` is told by its name.
        let is_told = text.starts_with("//! ") || file.file_name().unwrap() == "tests.rs";
        assert!(is_told, "{} has no //! line", file.display());
    }
}

fn sources() -> Vec<PathBuf> {
    let mut files = Vec::new();
    for package in &metadata().packages {
        let folder = package.manifest_path.parent().unwrap();
        for part in ["src", "tests"] {
            collect(folder.join(part).as_std_path(), &mut files);
        }
    }
    assert!(!files.is_empty());
    files
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The document has one schema a name: of two with the same one it would show either for both.
#[test]
fn every_body_in_the_api_has_a_name_of_its_own() {
    let mut seen: BTreeMap<String, PathBuf> = BTreeMap::new();
    for path in
        sources().into_iter().filter(|path| path.components().any(|c| c.as_os_str() == "api"))
    {
        let text = fs::read_to_string(&path).unwrap();
        let mut is_next = false;
        for line in text.lines() {
            is_next |= line.starts_with("#[derive(") && line.contains("ToSchema");
            let item = ["struct ", "enum "].into_iter().find_map(|kind| line.split_once(kind));
            if let Some((_, rest)) = item.filter(|_| is_next && !line.starts_with([' ', '#', '/']))
            {
                is_next = false;
                let name = rest.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
                let other = seen.insert(name.to_owned(), path.clone());
                assert_eq!(other, None, "{name} is in {} too", path.display());
            }
        }
    }
    assert!(seen.len() > 100, "{} were found", seen.len());
}
