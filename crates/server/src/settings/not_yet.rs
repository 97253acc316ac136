//! Keys that are known, and checked, but change nothing in this version.

use super::layers::Layers;

/// What the keys begin with (or are), and what happens instead.
const NOT_YET: &[(&[&str], &str)] = &[
    (&["files.upstream"], "this version sends files to no provider"),
    (
        &[
            "retention.conversations_",
            "retention.analytics_",
            "retention.audit_",
            "retention.exports_",
            "retention.outbox_",
        ],
        "this version deletes nothing of it by itself",
    ),
    (&["telemetry.sentry_dsn"], "this version reports no errors"),
    (&["telemetry.otlp_endpoint"], "this version sends no traces"),
];

/// One line for each feature that somebody asks for in vain.
pub(super) fn lines(layers: &Layers, defaults: &Layers) -> Vec<String> {
    let changed: Vec<&str> = layers
        .entries()
        .filter(|(key, entry)| entry.value != defaults.entry(key).value)
        .map(|(key, _)| key)
        .collect();
    let line = |(beginnings, instead): &(&[&str], &str)| {
        let is_meant = |key: &&&str| beginnings.iter().any(|beginning| key.starts_with(beginning));
        let keys: Vec<&str> = changed.iter().filter(is_meant).copied().collect();
        let verb = if keys.len() == 1 { "is" } else { "are" };
        (!keys.is_empty()).then(|| format!("{} {verb} set, but {instead}", keys.join(", ")))
    };
    NOT_YET.iter().filter_map(line).collect()
}
