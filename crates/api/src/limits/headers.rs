//! The headers that tell of rate limits: those of draft-ietf-httpapi-ratelimit-headers-11, and the
//! older ones that most clients read.

use std::{fmt::Write as _, time::Duration};

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use repartee_application::ports::Decision;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const OLD_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const OLD_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const OLD_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// As they are exposed to pages of other origins, and documented.
pub(crate) const NAMES: [(&str, &str); 5] = [
    (
        "RateLimit-Policy",
        "Each quota with its limit and its window in seconds: `\"minute\";q=60;w=60, \"hour\";q=1000;w=3600`",
    ),
    (
        "RateLimit",
        "Of the quota nearest to its end, what is left and when all of it is there again, in seconds: `\"minute\";r=59;t=1`",
    ),
    ("X-RateLimit-Limit", "The limit of that quota"),
    ("X-RateLimit-Remaining", "What is left of it"),
    ("X-RateLimit-Reset", "Seconds until all of it is there again"),
];

/// Every quota, and how far along the one is that is nearest to its end.
pub(super) fn insert(headers: &mut HeaderMap, decision: &Decision) {
    let Some(nearest) = decision.nearest().and_then(|place| decision.levels.get(place)) else {
        return;
    };
    let mut policy = String::with_capacity(64);
    for (place, level) in decision.levels.iter().enumerate() {
        let separator = if place == 0 { "" } else { ", " };
        let (name, limit) = (level.quota.name, level.quota.limit);
        let _ =
            write!(policy, "{separator}\"{name}\";q={limit};w={}", level.quota.window.as_secs());
    }
    let (remaining, reset) = (nearest.remaining, whole_seconds(nearest.reset));
    let limit = format!("\"{}\";r={remaining};t={reset}", nearest.quota.name);
    for (name, value) in [(POLICY, policy), (LIMIT, limit)] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    headers.insert(OLD_LIMIT, nearest.quota.limit.get().into());
    headers.insert(OLD_REMAINING, remaining.into());
    headers.insert(OLD_RESET, reset.into());
}

/// Rounded up: whoever comes then is not too early.
fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use repartee_domain::limits::Quota;

    use super::*;

    fn shown(levels: &[(Quota, u64)]) -> Vec<String> {
        let levels = levels.iter();
        let levels = levels.map(|(quota, ahead)| quota.level_after(Duration::from_millis(*ahead)));
        let decision = Decision { levels: levels.collect(), retry_after: None };
        let mut headers = HeaderMap::new();
        insert(&mut headers, &decision);
        let text = |(name, _): &(&str, &str)| {
            headers.get(*name).map(|value| value.to_str().unwrap().to_owned())
        };
        NAMES.iter().filter_map(text).collect()
    }

    #[test]
    fn all_policies_are_told_and_the_state_of_what_ends_first() {
        let minute = Quota::a_minute(60).unwrap();
        let hour = Quota::an_hour(1_000).unwrap();
        let policy = "\"minute\";q=60;w=60, \"hour\";q=1000;w=3600";
        assert_eq!(
            shown(&[(minute, 1_000), (hour, 3_600)]),
            [policy, "\"minute\";r=59;t=1", "60", "59", "1"]
        );
        assert_eq!(
            shown(&[(minute, 30_001), (hour, 3_599_000)]),
            [policy, "\"hour\";r=0;t=3599", "1000", "0", "3599"]
        );
        assert!(shown(&[]).is_empty());
    }
}
