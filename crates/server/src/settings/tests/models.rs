//! The list of models.

use std::time::Duration;

use super::*;
use crate::settings::{ModelSettings, ProviderKind, TimeLimits};

fn file(text: &str) -> Sources {
    variables(&[("OPENAI_API_KEY", "sk-1")]).with_file("config/development.toml", text)
}

#[test]
fn a_model_says_what_it_is_and_the_rest_is_as_for_all() {
    let text = r#"
        [[models]]
        id = "fast"
        provider = "openai"
        upstream_model = "gpt-4.1-mini"
        context_tokens = 128_000
        max_output_tokens = 4096
        input_price = 0.4
        output_price = 2
        fallbacks = ["small"]
        idle_seconds = 5
        [[models]]
        id = "small"
        provider = "local"
        context_tokens = 2048
    "#;
    let models = Settings::load(&file(text)).unwrap().models;
    let limits = TimeLimits {
        first_token: Duration::from_secs(30),
        idle: Duration::from_secs(30),
        total: Duration::from_mins(10),
    };
    let fast = ModelSettings {
        id: "fast".to_owned(),
        provider: ProviderKind::OpenAi,
        upstream_model: "gpt-4.1-mini".to_owned(),
        context_tokens: 128_000,
        max_output_tokens: 4096,
        input_price: 0.4,
        output_price: 2.0,
        fallbacks: vec!["small".to_owned()],
        time_limits: TimeLimits { idle: Duration::from_secs(5), ..limits },
    };
    let small = ModelSettings {
        id: "small".to_owned(),
        provider: ProviderKind::Local,
        upstream_model: "small".to_owned(),
        context_tokens: 2048,
        max_output_tokens: 1024,
        input_price: 0.0,
        output_price: 0.0,
        fallbacks: Vec::new(),
        time_limits: limits,
    };
    assert_eq!(models, [fast, small]);
}

#[test]
fn what_cannot_be_is_refused_with_its_place() {
    let model = |fields: &str| file(&format!("models = [{{ id = \"a\", {fields} }}]"));
    for (fields, line) in [
        (
            r#"provider = "azure""#,
            r#"provider = "azure" (config/development.toml): must be openai, llm_service or local"#,
        ),
        ("provider = 3", "provider = 3 (config/development.toml): must be a text"),
        (
            r#"provider = "llm_service""#,
            r#"provider = "llm_service" (config/development.toml): providers.llm_service.base_url (LLM_SERVICE_URL) is not set"#,
        ),
        (
            r#"provider = "local", price = 3"#,
            "price = 3 (config/development.toml): there is no such key",
        ),
        (
            r#"provider = "local", input_price = -0.5"#,
            "input_price = -0.5 (config/development.toml): must be a price, 0 or more",
        ),
        (
            r#"provider = "local", output_price = nan"#,
            "output_price = nan (config/development.toml): must be a price, 0 or more",
        ),
        (
            r#"provider = "local", fallbacks = ["b"]"#,
            r#"fallbacks = ["b"] (config/development.toml): there is no model "b" in the list"#,
        ),
        (
            r#"provider = "local", fallbacks = ["a"]"#,
            r#"fallbacks = ["a"] (config/development.toml): names the model itself"#,
        ),
        (
            r#"provider = "local", context_tokens = 10, max_output_tokens = 10"#,
            "max_output_tokens = 10 (config/development.toml): must be less than context_tokens",
        ),
        (
            r#"provider = "local", context_tokens = 0"#,
            "context_tokens = 0 (config/development.toml): must be a whole number from 2 to 100000000",
        ),
        (
            r#"provider = "local", total_seconds = 1.5"#,
            "total_seconds = 1.5 (config/development.toml): must be a whole number from 1 to 86400",
        ),
    ] {
        assert_eq!(refusal(&model(fields)), format!("models[0].{line}"));
    }
}

#[test]
fn a_model_needs_an_id_of_its_own() {
    let text = r#"models = [{ id = "a", provider = "local" }, { id = "a", provider = "local" }]"#;
    let line = r#"models[1].id = "a" (config/development.toml): stands twice in the list"#;
    assert_eq!(refusal(&file(text)), line);
    let line = r#"models[0].id = "" (config/development.toml): must not be empty"#;
    assert_eq!(refusal(&file(r#"models = [{ provider = "local" }]"#)), line);
    let line = r#"models = ["a"] (config/development.toml): must be a list of tables"#;
    assert_eq!(refusal(&file(r#"models = ["a"]"#)), line);
}

#[test]
fn openai_needs_a_key() {
    let text = r#"models = [{ id = "a", provider = "openai" }]"#;
    let sources = Sources::default().with_file("config/development.toml", text);
    assert_eq!(
        refusal(&sources),
        "models[0].provider = \"openai\" (config/development.toml): \
         providers.openai.api_key (OPENAI_API_KEY) is not set"
    );
}
