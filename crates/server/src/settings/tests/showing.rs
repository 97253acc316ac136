//! What is shown of the settings, and what never is.

use super::*;

const SECRETS: [(&str, &str); 13] = [
    ("JWT_SECRET", "hunter2-jwt"),
    ("DATABASE_URL", "postgres://app:hunter2-db@db/chat"),
    ("REDIS_URL", "redis://:hunter2-redis@cache"),
    ("LLM_SERVICE_URL", "http://vllm"),
    ("OPENAI_API_KEY", "hunter2-openai"),
    ("SMTP_URL", "smtp://me:hunter2-mail@mail"),
    ("SENTRY_DSN", "https://hunter2-sentry@sentry.example/1"),
    ("AWS_SECRET_ACCESS_KEY", "hunter2-aws"),
    ("AWS_SESSION_TOKEN", "hunter2-session"),
    ("REPARTEE__AUTH__EXTERNAL__SECRET", "hunter2-external, thirty-two bytes"),
    ("AUTH_SERVICE_URL", "https://login.example"),
    ("REPARTEE__BOOTSTRAP__ADMIN_EMAIL", "admin@example.com"),
    ("REPARTEE__BOOTSTRAP__ADMIN_PASSWORD", "hunter2-admin"),
];

#[test]
fn no_secret_is_shown() {
    let settings = load(&SECRETS);
    for shown in [settings.render_masked(), format!("{settings:?}"), format!("{settings:#?}")] {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn what_is_in_force_is_shown_with_its_source() {
    let shown = load(&SECRETS).render_masked();
    for line in [
        "data_dir = \"data\"\n",
        "models_dir = \"data/models\"\n",
        "\n[http]\n",
        "port = 8080\n",
        "cors_origins = [\"*\"] # config/development.toml\n",
        "url = \"postgres://app:********@db/chat\" # environment variable DATABASE_URL\n",
        "secret = \"********\" # environment variable JWT_SECRET\n",
        "\n[providers.llm_service]\napi_key = \"********\" # environment variable OPENAI_API_KEY\n",
    ] {
        assert!(shown.contains(line), "{line} is missing in {shown}");
    }
}

#[test]
fn what_is_shown_can_be_read_again() {
    let shown = load(&[
        ("OPENAI_API_KEY", "k"),
        ("REPARTEE__MODELS", r#"[{ id = "a", provider = "local" }]"#),
    ])
    .render_masked();
    let again = Sources::default().with_file("config/development.toml", &shown);
    assert_eq!(Settings::load(&again).unwrap().models[0].id, "a");
}

#[test]
fn what_changes_nothing_yet_is_said() {
    let lines = load(&[
        ("REPARTEE__RETENTION__AUDIT_DAYS", "5"),
        ("REPARTEE__RETENTION__CONVERSATIONS_DAYS", "5"),
        ("REPARTEE__RETENTION__OUTBOX_DAYS", "30"),
        ("REPARTEE__FILES__UPSTREAM", "true"),
    ])
    .not_yet_in_force();
    assert_eq!(
        lines,
        [
            "files.upstream is set, but this version sends files to no provider",
            "retention.audit_days, retention.conversations_days are set, but this version deletes nothing of it by itself",
        ]
    );
}

#[test]
fn a_secret_that_production_would_refuse_is_warned_of() {
    let warnings = load(&[("JWT_SECRET", "short")]).warnings();
    assert_eq!(warnings, ["auth.secret must have at least 32 bytes in production"]);
}

#[test]
fn the_configured_secret_signs() {
    let settings = load(&[("JWT_SECRET", STRONG)]);
    assert_eq!(settings.signing_secret().unwrap().expose_secret(), STRONG);
}
