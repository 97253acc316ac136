//! What guessing at a password costs.

use chrono::TimeDelta;

/// Failures in a row that a name may have without waiting.
const FREE: u32 = 4;
/// Seconds.
const LONGEST: i64 = 15 * 60;

/// How long a name has to wait after so many failures in a row: nothing up to the fourth, a second
/// after the fifth, twice as long after each further one, at most a quarter of an hour.
pub fn wait_after(failures: u32) -> Option<TimeDelta> {
    let beyond = failures.checked_sub(FREE + 1)?;
    let seconds = 1_i64.checked_shl(beyond).filter(|seconds| *seconds > 0).unwrap_or(LONGEST);
    Some(TimeDelta::seconds(seconds.min(LONGEST)))
}

/// The form in which a name is counted: as it was typed, without regard to case and to the blanks
/// around it, whether somebody has that name or not.
pub fn counted_name(typed: &str) -> String {
    typed.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_fifth_failure_costs_a_second_and_each_further_one_twice_as_much() {
        let seconds = |failures| wait_after(failures).map(|wait| wait.num_seconds());
        assert_eq!((0..=4).map(seconds).collect::<Vec<_>>(), [None; 5]);
        let waits: Vec<_> = (5..=8).filter_map(seconds).collect();
        assert_eq!(waits, [1, 2, 4, 8]);
        assert_eq!((seconds(14), seconds(15)), (Some(512), Some(900)));
    }

    proptest! {
        #[test]
        fn no_number_of_failures_makes_the_wait_shorter_or_longer_than_a_quarter_of_an_hour(
            failures in any::<u32>()
        ) {
            let wait = wait_after(failures);
            prop_assert!(wait <= wait_after(failures.saturating_add(1)));
            prop_assert!(wait <= Some(TimeDelta::minutes(15)));
        }

        #[test]
        fn a_name_is_counted_as_it_is_looked_up(name in "[A-Za-z0-9.]{1,20}@[A-Z]{1,9}\\.example") {
            let email = crate::accounts::Email::parse(&format!(" {name} ")).ok();
            if let Some(email) = email {
                prop_assert_eq!(email.as_str(), counted_name(&name));
            }
        }
    }
}
