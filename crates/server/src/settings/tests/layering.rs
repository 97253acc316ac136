//! What lies over what.

use std::fs;

use repartee_domain::network::Network;

use super::*;
use crate::settings::layers::Layers;
use crate::settings::{BUILT_IN_DEFAULTS, CorsOrigins, Environment, LogFormat, ProviderKind};

#[test]
fn without_sources_it_is_development_with_the_defaults() {
    let settings = load(&[]);
    assert_eq!(settings.environment, Environment::Development);
    assert_eq!((settings.http.host.as_str(), settings.http.port), ("127.0.0.1", 8080));
    assert_eq!(database_url(&settings), "sqlite://data/repartee.db");
    assert_eq!(settings.models_dir.to_str(), Some("data/models"));
    assert_eq!(settings.http.cors_origins, CorsOrigins::Any);
    assert_eq!(settings.providers.preferred(), ProviderKind::Local);
    assert!(settings.auth.secret.is_none());
    assert_eq!(settings.warnings(), Vec::<String>::new());
}

#[test]
fn each_environment_starts_with_what_is_built_in() {
    for environment in ["development", "test"] {
        load(&[("REPARTEE_ENV", environment)]);
    }
    let settings = load(&[("REPARTEE_ENV", "production"), ("JWT_SECRET", STRONG)]);
    assert_eq!(settings.log.format, LogFormat::Json);
    assert_eq!(settings.http.cors_origins, CorsOrigins::Listed(Vec::new()));
}

#[test]
fn files_then_keyed_variables_then_well_known_names() {
    let port = |sources: Sources| Settings::load(&sources).unwrap().http.port;
    let mut sources =
        Sources::default().with_file("config/default.toml", "[http]\nport = 1\nhost = \"::\"");
    assert_eq!(port(sources.clone()), 1);
    sources = sources.with_file("config/development.toml", "http.port = 2");
    assert_eq!(port(sources.clone()), 2);
    sources = sources.with_variables([("REPARTEE__HTTP__PORT".into(), "3".into())]);
    assert_eq!(port(sources.clone()), 3);
    sources = sources.with_variables([("SERVER_PORT".into(), "4".into())]);
    assert_eq!(port(sources.clone()), 4);
    sources = sources.with_variables([("PORT".into(), "5".into())]);
    assert_eq!(port(sources), 5);
}

#[test]
fn another_environments_file_is_not_read() {
    let sources = Sources::default().with_file("config/production.toml", "http.port = 2");
    assert_eq!(Settings::load(&sources).unwrap().http.port, 8080);
}

#[test]
fn a_real_variable_goes_before_dotenv_and_an_empty_one_is_none() {
    let sources = Sources::default()
        .with_dotenv("# ports\nPORT=1\nHOST=\"::1\"\nexport WORKERS='4'\nREDIS_URL=\n")
        .unwrap()
        .with_variables([("PORT".into(), "2".into()), ("HOST".into(), String::new())]);
    let http = Settings::load(&sources).unwrap().http;
    assert_eq!((http.host.as_str(), http.port, http.workers), ("::1", 2, Some(4)));
}

#[test]
fn a_variables_text_becomes_its_keys_type() {
    let settings = load(&[
        ("REPARTEE__GUESTS__ENABLED", "no"),
        ("REPARTEE__HTTP__TRUSTED_PROXIES", "10.0.0.0/8, ::1"),
        ("REPARTEE__REPLIES__SYSTEM_MESSAGE", "Be brief, kind."),
        ("REPARTEE__MODELS", r#"[{ id = "tiny", provider = "local", input_price = 1 }]"#),
    ]);
    assert!(!settings.guests.enabled);
    let proxies: [Network; 2] = ["10.0.0.0/8", "::1"].map(|text| text.parse().unwrap());
    assert_eq!(settings.http.trusted_proxies, proxies);
    assert_eq!(settings.replies.system_message.as_deref(), Some("Be brief, kind."));
    assert_eq!(settings.models[0].id, "tiny");
}

#[test]
fn sources_are_read_from_a_directory() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("config")).unwrap();
    fs::write(directory.path().join(".env"), "REPARTEE_ENV=test\nPORT=7000\n").unwrap();
    fs::write(directory.path().join("config/test.toml"), "[database]\nmax_connections = 3")
        .unwrap();
    let settings = Settings::load(&Sources::read(directory.path()).unwrap()).unwrap();
    assert_eq!(settings.environment, Environment::Test);
    assert_eq!((settings.http.port, settings.database.max_connections), (7000, 3));
}

#[test]
fn every_key_of_the_defaults_is_read_by_a_section() {
    const SECTIONS: &str = concat!(
        include_str!("../../settings.rs"),
        include_str!("../auth.rs"),
        include_str!("../external.rs"),
        include_str!("../http.rs"),
        include_str!("../limits.rs"),
        include_str!("../log.rs"),
        include_str!("../development_secret.rs"),
        include_str!("../mail.rs"),
        include_str!("../models.rs"),
        include_str!("../providers.rs"),
        include_str!("../replies.rs"),
        include_str!("../storage.rs"),
    );
    let defaults = Layers::on(BUILT_IN_DEFAULTS).unwrap();
    for (key, _) in defaults.entries() {
        assert!(SECTIONS.contains(&format!("\"{key}\"")), "{key} is never read");
    }
}

#[test]
fn every_key_of_the_defaults_has_a_comment() {
    let lines: Vec<&str> = BUILT_IN_DEFAULTS.lines().collect();
    for pair in lines.windows(2).filter(|pair| pair[1].contains(" = ")) {
        assert!(pair[0].starts_with("# ") || pair[1].starts_with('#'), "{}", pair[1]);
    }
}
