//! Another issuer, and key files.

use repartee_infrastructure::security::ExternalKeys;

use super::*;

const SECRET: (&str, &str) =
    ("REPARTEE__AUTH__EXTERNAL__SECRET", "a secret that another issuer shares");
const KEYS: (&str, &str) = ("REPARTEE__AUTH__EXTERNAL__JWKS_URL", "https://login.example/keys");
const ISSUER: (&str, &str) = ("AUTH_SERVICE_URL", "https://login.example");

#[test]
fn an_issuer_is_believed_with_a_key_to_check_its_tokens() {
    assert!(load(&[]).auth.external.settings().is_none());
    let settings = load(&[ISSUER, SECRET]).auth.external.settings().unwrap();
    assert_eq!((settings.issuer.as_str(), settings.audience), (ISSUER.1, None));
    assert!(matches!(settings.keys, ExternalKeys::Secret(_)));
    let settings = load(&[ISSUER, KEYS]).auth.external.settings().unwrap();
    assert!(matches!(settings.keys, ExternalKeys::Jwks(url) if url.as_str() == KEYS.1));
}

#[test]
fn an_issuer_without_a_key_is_warned_of() {
    let settings = load(&[ISSUER, ("JWT_SECRET", STRONG)]);
    assert!(settings.auth.external.settings().is_none());
    let warnings = settings.warnings();
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].starts_with("auth.external.issuer is set, but"), "{warnings:?}");
}

#[test]
fn what_cannot_be_meant_stops_the_start() {
    for (pairs, key) in [
        (vec![ISSUER, SECRET, KEYS], "auth.external.jwks_url"),
        (vec![SECRET], "auth.external.issuer"),
        (vec![KEYS], "auth.external.issuer"),
        (vec![ISSUER, (SECRET.0, "hunter2")], "auth.external.secret"),
        (vec![("AUTH_SERVICE_URL", "repartee"), SECRET], "auth.external.issuer"),
        (vec![ISSUER, (KEYS.0, "ftp://login.example")], "auth.external.jwks_url"),
    ] {
        let line = refusal(&variables(&pairs));
        assert!(line.starts_with(key) && !line.contains("hunter2"), "{line}");
    }
}

#[test]
fn with_a_key_file_production_needs_no_secret() {
    let settings = load(&[
        ("REPARTEE_ENV", "production"),
        ("REPARTEE__AUTH__KEY_FILE", "/run/secrets/token-key.pem"),
        ("REPARTEE__AUTH__PREVIOUS_KEY_FILES", "a.pem,b.pem"),
    ]);
    assert!(settings.auth.secret.is_none() && settings.auth.key_file.is_some());
    assert_eq!(settings.auth.previous_key_files.len(), 2);
}
