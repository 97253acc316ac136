//! Follows the numbered words of one reply, `tok~0~ tok~1~ …`.

use std::{fmt, ops::AddAssign};

/// What was wrong with the words of a reply, or of many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Faults {
    pub(super) lost: usize,
    /// Seen again, or never sent.
    pub(super) repeated: usize,
    pub(super) reordered: usize,
}

#[derive(Debug)]
pub(super) struct Words {
    seen: Vec<bool>,
    /// One more than the highest seen.
    next: usize,
    count: usize,
    repeated: usize,
    reordered: usize,
    /// The number that is being read: a word may be cut anywhere.
    number: Option<usize>,
}

impl Words {
    pub(super) fn expecting(count: usize) -> Self {
        Self {
            seen: vec![false; count],
            next: 0,
            count: 0,
            repeated: 0,
            reordered: 0,
            number: None,
        }
    }

    pub(super) fn read(&mut self, text: &[u8]) {
        for &byte in text {
            match (self.number, byte) {
                (None, b'~') => self.number = Some(0),
                (Some(number), b'~') => {
                    self.number = None;
                    self.word(number);
                }
                (Some(number), b'0'..=b'9') => {
                    let digit = usize::from(byte - b'0');
                    self.number = Some(number.saturating_mul(10).saturating_add(digit));
                }
                (Some(_), _) => self.number = None,
                (None, _) => {}
            }
        }
    }

    fn word(&mut self, number: usize) {
        match self.seen.get_mut(number) {
            None | Some(true) => self.repeated += 1,
            Some(seen) => {
                *seen = true;
                self.count += 1;
                self.reordered += usize::from(number < self.next);
                self.next = self.next.max(number + 1);
            }
        }
    }

    pub(super) fn any(&self) -> bool {
        self.count > 0
    }

    pub(super) fn faults(&self) -> Faults {
        Faults {
            lost: self.seen.len() - self.count,
            repeated: self.repeated,
            reordered: self.reordered,
        }
    }
}

impl AddAssign for Faults {
    fn add_assign(&mut self, other: Self) {
        self.lost += other.lost;
        self.repeated += other.repeated;
        self.reordered += other.reordered;
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} / {} / {}", self.lost, self.repeated, self.reordered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(parts: &[&str]) -> Faults {
        let mut words = Words::expecting(4);
        for part in parts {
            words.read(part.as_bytes());
        }
        words.faults()
    }

    #[test]
    fn a_whole_reply_has_no_faults_however_it_was_cut() {
        assert_eq!(faults(&["tok~0~ tok~1~ tok", "~", "2", "~ tok~3", "~ "]), Faults::default());
    }

    #[test]
    fn each_fault_is_told_from_the_others() {
        assert_eq!(faults(&["tok~0~ tok~1~ tok~3~ "]), Faults { lost: 1, ..Faults::default() });
        assert_eq!(
            faults(&["tok~0~ tok~2~ tok~1~ tok~3~ "]),
            Faults { reordered: 1, ..Faults::default() }
        );
        assert_eq!(
            faults(&["tok~0~ tok~1~ tok~1~ tok~2~ tok~3~ "]),
            Faults { repeated: 1, ..Faults::default() }
        );
        assert_eq!(faults(&[]), Faults { lost: 4, ..Faults::default() });
    }
}
