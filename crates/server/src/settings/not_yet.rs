//! Keys that are known, and checked, but change nothing in this version.

use super::layers::Layers;

/// What the keys begin with (or are), and what happens instead.
const NOT_YET: [(&[&str], &str); 13] = [
    (&["redis."], "this version keeps everything in process"),
    (
        &["limits.requests_", "limits.login_", "limits.register_"],
        "this version does not limit requests",
    ),
    (
        &["limits.concurrent_", "limits.total_"],
        "this version does not limit how many replies are written at once",
    ),
    (&["guests."], "this version has no guests"),
    (&["auth.external."], "this version accepts no other issuer's tokens"),
    (&["auth.hide_registration"], "this version answers 409 for a taken address"),
    (&["files."], "this version keeps no files"),
    (&["mail."], "this version sends no mail"),
    (&["retention."], "this version deletes nothing by itself"),
    (&["http.trusted_proxies"], "this version takes the nearest address for the client's"),
    (&["http.upload_limit_bytes"], "this version takes no uploads"),
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
