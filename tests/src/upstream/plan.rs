//! What the name of a model asks for.

use std::time::Duration;

/// Above this a name is taken for a mistake.
const MOST_WORDS: usize = 100_000;
const MOST_BYTES: usize = 10_000_000;
const USUAL_WORDS: usize = 16;
const PACE: Duration = Duration::from_millis(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behaviour {
    Reply(Plan),
    Refuse {
        status: u16,
    },
    /// Refuses calls 1, 3, 5 … of one name.
    RefuseEveryOther {
        status: u16,
    },
    /// Refuses the first calls of one name.
    RefuseFirst {
        status: u16,
        times: u64,
        retry_after_s: u64,
    },
    Hang,
    /// Calls the first tool that there is, and tells what comes back.
    Tools,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) text: Text,
    /// Before the first word.
    pub(super) first: Duration,
    /// Between two words.
    pub(super) gap: Duration,
    pub(super) ending: Ending,
    pub(super) finish_reason: &'static str,
    pub(super) usage: bool,
    pub(super) dialect: Dialect,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Text {
    Numbered(usize),
    /// Numbered words, each with characters of two and of four bytes.
    Accented(usize),
    /// Numbered words, each filled up to so many bytes.
    Long {
        count: usize,
        bytes: usize,
    },
    /// Numbered words, each with the time at which it leaves.
    Stamped(usize),
    LastQuestion,
    /// What a tool answered last.
    LastResult,
    Roles,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Complete,
    WithoutDone,
    Stopped { after: usize, by: Trouble },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    Silence,
    Cut,
    ErrorEvent,
    BadJson,
}

/// How the events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Plain,
    /// Everything that a client must be able to pass over.
    Noisy,
    /// The writes end inside of characters.
    SplitCharacters,
}

impl Plan {
    fn words(count: usize, gap: Duration) -> Self {
        Self {
            text: Text::Numbered(count),
            first: Duration::ZERO,
            gap,
            ending: Ending::Complete,
            finish_reason: "stop",
            usage: true,
            dialect: Dialect::Plain,
        }
    }

    /// The reply of every model whose name is about something else than its length.
    pub(super) fn usual() -> Self {
        Self::words(USUAL_WORDS, Duration::ZERO)
    }

    /// Tells what a tool answered.
    pub(super) fn result() -> Self {
        Self { text: Text::LastResult, ..Self::usual() }
    }

    /// Says nothing, for a tool is called.
    pub(super) fn call() -> Self {
        Self { finish_reason: "tool_calls", ..Self::words(0, Duration::ZERO) }
    }

    fn stopped(after: usize, by: Trouble) -> Self {
        Self { ending: Ending::Stopped { after, by }, ..Self::words(USUAL_WORDS.max(after), PACE) }
    }

    /// Whether the reply depends on nothing but the name.
    pub(super) fn is_fixed(&self) -> bool {
        !matches!(self.text, Text::LastQuestion | Text::Roles)
    }
}

impl Behaviour {
    /// `None` where there is no such model.
    pub(super) fn of(model: &str) -> Option<Self> {
        let name = model.strip_prefix("mock-")?;
        let name = name.split_once(':').map_or(name, |(name, _)| name);
        let parts: Vec<&str> = name.split('-').collect();
        Self::named(&parts).or_else(|| Self::numbered(&parts))
    }

    fn named(parts: &[&str]) -> Option<Self> {
        let usual = Plan::usual();
        let plan = match *parts {
            ["echo"] => Plan { text: Text::LastQuestion, ..usual },
            ["count"] => Plan { text: Text::Roles, ..usual },
            ["empty"] => Plan { text: Text::Numbered(0), ..usual },
            ["slowfirst"] => Plan { first: Duration::from_secs(2), ..usual },
            ["slowfirst", ms] => Plan { first: Duration::from_millis(ms.parse().ok()?), ..usual },
            ["nodone"] => Plan { ending: Ending::WithoutDone, ..usual },
            ["nousage"] => Plan { usage: false, ..usual },
            ["length"] => Plan { finish_reason: "length", ..usual },
            ["utf8"] => {
                let text = Text::Accented(USUAL_WORDS);
                Plan { text, gap: PACE, dialect: Dialect::SplitCharacters, ..usual }
            }
            ["garbage"] => Plan { dialect: Dialect::Noisy, ..usual },
            ["stamped", count, gap] => {
                let gap = Duration::from_millis(gap.parse().ok()?);
                Plan { text: Text::Stamped(words(count)?), gap, ..usual }
            }
            ["long", count, bytes] => {
                let (count, bytes) = (words(count)?, bytes.parse().ok()?);
                if count.checked_mul(bytes)? > MOST_BYTES {
                    return None;
                }
                Plan { text: Text::Long { count, bytes }, ..usual }
            }
            ["tools"] => return Some(Self::Tools),
            ["hang"] => return Some(Self::Hang),
            [trouble] => Plan::stopped(USUAL_WORDS / 2, Trouble::of(trouble)?),
            [trouble, after] => Plan::stopped(words(after)?, Trouble::of(trouble)?),
            _ => return None,
        };
        Some(Self::Reply(plan))
    }

    fn numbered(parts: &[&str]) -> Option<Self> {
        match *parts {
            [code] => Some(Self::Refuse { status: status(code)? }),
            [count, gap] => Some(Self::Reply(Plan::words(
                words(count)?,
                Duration::from_millis(gap.parse().ok()?),
            ))),
            [code, "then", "ok"] => Some(Self::RefuseEveryOther { status: status(code)? }),
            [code, "times", times] => Some(Self::RefuseFirst {
                status: status(code)?,
                times: times.parse().ok()?,
                retry_after_s: 0,
            }),
            [code, "times", times, "after", seconds] => Some(Self::RefuseFirst {
                status: status(code)?,
                times: times.parse().ok()?,
                retry_after_s: seconds.parse().ok()?,
            }),
            _ => None,
        }
    }
}

impl Trouble {
    fn of(name: &str) -> Option<Self> {
        match name {
            "hangmid" => Some(Self::Silence),
            "cut" => Some(Self::Cut),
            "errormid" => Some(Self::ErrorEvent),
            "badjson" => Some(Self::BadJson),
            _ => None,
        }
    }
}

fn status(text: &str) -> Option<u16> {
    text.parse().ok().filter(|status| (400..=599).contains(status))
}

fn words(text: &str) -> Option<usize> {
    text.parse().ok().filter(|count| *count <= MOST_WORDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suffix_changes_nothing() {
        assert_eq!(Behaviour::of("mock-64-20:some-test"), Behaviour::of("mock-64-20"));
    }

    #[test]
    fn numbers_are_words_and_milliseconds() {
        let plan = Plan::words(64, Duration::from_millis(20));
        assert_eq!(Behaviour::of("mock-64-20"), Some(Behaviour::Reply(plan)));
    }

    #[test]
    fn one_number_is_a_status_and_two_are_not() {
        assert_eq!(Behaviour::of("mock-503"), Some(Behaviour::Refuse { status: 503 }));
        assert!(matches!(Behaviour::of("mock-503-0"), Some(Behaviour::Reply(_))));
    }

    #[test]
    fn refusals_count_calls() {
        assert_eq!(
            Behaviour::of("mock-429-then-ok"),
            Some(Behaviour::RefuseEveryOther { status: 429 })
        );
        let first = Behaviour::RefuseFirst { status: 503, times: 2, retry_after_s: 3 };
        assert_eq!(Behaviour::of("mock-503-times-2-after-3"), Some(first));
    }

    #[test]
    fn trouble_comes_after_as_many_words_as_the_name_says() {
        assert_eq!(
            Behaviour::of("mock-cut"),
            Some(Behaviour::Reply(Plan::stopped(8, Trouble::Cut)))
        );
        assert_eq!(
            Behaviour::of("mock-cut-0"),
            Some(Behaviour::Reply(Plan::stopped(0, Trouble::Cut)))
        );
    }

    #[test]
    fn other_names_are_no_models() {
        for name in [
            "gpt-4o",
            "mock-",
            "mock-399",
            "mock-600",
            "mock-1-2-3",
            "mock-cut-x",
            "mock-999999999-0",
            "mock-long-1000-99999",
        ] {
            assert_eq!(Behaviour::of(name), None, "{name}");
        }
    }
}
