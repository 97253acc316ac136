//! How far a feed was read.

use std::{fmt, str::FromStr};

use repartee_domain::GenerationId;
use thiserror::Error;

/// The number of the last change, and how far each reply was read that is still being written: 0
/// where not even its beginning was told.
///
/// As text: `17`, or `17;{generation}:{number};…`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FeedCursor {
    pub change: u64,
    pub replies: Vec<(GenerationId, u64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not an id of this feed's events")]
pub struct NoCursor;

impl FeedCursor {
    /// As many as somebody may have written at once.
    pub const MOST_REPLIES: u8 = 64;

    pub(super) fn read(&mut self, generation: GenerationId, seq: u64) {
        match self.replies.iter_mut().find(|(known, _)| *known == generation) {
            Some((_, read)) => *read = seq,
            None => self.replies.push((generation, seq)),
        }
    }

    /// The first event of a reply is told as a change.
    pub(super) fn read_to(&self, generation: GenerationId) -> u64 {
        let read = self.replies.iter().find(|(known, _)| *known == generation);
        read.map_or(1, |(_, seq)| *seq)
    }

    pub(super) fn forget(&mut self, generation: GenerationId) {
        self.replies.retain(|(known, _)| *known != generation);
    }
}

impl fmt::Display for FeedCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.change)?;
        self.replies.iter().try_for_each(|(generation, seq)| write!(f, ";{generation}:{seq}"))
    }
}

impl FromStr for FeedCursor {
    type Err = NoCursor;

    fn from_str(text: &str) -> Result<Self, NoCursor> {
        let most = usize::from(Self::MOST_REPLIES);
        let mut parts = text.split(';');
        let change = number(parts.next().unwrap_or_default())?;
        let replies: Vec<_> = parts
            .take(most + 1)
            .map(|part| {
                let (generation, seq) = part.split_once(':').ok_or(NoCursor)?;
                Ok((generation.parse().map_err(|_| NoCursor)?, number(seq)?))
            })
            .collect::<Result<_, _>>()?;
        if replies.len() > most { Err(NoCursor) } else { Ok(Self { change, replies }) }
    }
}

/// What a database can hold.
fn number(text: &str) -> Result<u64, NoCursor> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| is_number).ok_or(NoCursor)?;
    if i64::try_from(number).is_ok() { Ok(number) } else { Err(NoCursor) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_cursor_reads_back() {
        let generation = |n| GenerationId::from_uuid(Uuid::from_u128(n));
        for replies in
            [vec![], vec![(generation(1), 7)], vec![(generation(1), 7), (generation(2), 0)]]
        {
            let cursor = FeedCursor { change: 12, replies };
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
    }

    #[test]
    fn nonsense_is_no_cursor() {
        let long = format!("1{}", ";00000000-0000-0000-0000-000000000001:1".repeat(65));
        for text in ["", "x", "-1", "+1", "1;", "1;x:1", "1;:1", "18446744073709551615", &long] {
            assert_eq!(text.parse::<FeedCursor>(), Err(NoCursor), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_cursor_that_reads_back_or_none(
            text in "\\PC{0,40}|[+0-9]{1,21}(;[0-9a-f]{32}:[+0-9]{1,21}){0,3}",
        ) {
            if let Ok(cursor) = text.parse::<FeedCursor>() {
                prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
            }
        }
    }
}
