//! Whether the chain holds.

use super::{AT_ONCE, Head, SealedEntry};
use crate::ports::{Anchor, AuditLog, PortError};

/// What came of going through the whole log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verification {
    /// The end of what holds: its position is how many entries do.
    pub head: Head,
    /// Anchors that were compared with it.
    pub anchors: u64,
    /// The first place where it does not hold.
    pub fault: Option<Fault>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    pub position: u64,
    pub kind: FaultKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FaultKind {
    #[error("no entry stands here: it was deleted, or moved elsewhere")]
    Missing,
    #[error("the entry does not follow the one before: it was moved, or something was put between")]
    Unlinked,
    #[error("the entry is not what was sealed: it was edited")]
    Altered,
    #[error("the entry cannot be read: it was edited")]
    Unreadable,
    #[error("the chain is not the one that was anchored: it was written anew")]
    Unanchored,
    #[error("the log ends here, before its last anchor: its end was cut off")]
    Cut,
}

impl FaultKind {
    pub const fn code(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Unlinked => "unlinked",
            Self::Altered => "altered",
            Self::Unreadable => "unreadable",
            Self::Unanchored => "unanchored",
            Self::Cut => "cut",
        }
    }
}

/// Goes through all of it by portions, up to the first fault.
pub(super) async fn verify(log: &dyn AuditLog) -> Result<Verification, PortError> {
    let mut found = Verification { head: Head::START, anchors: 0, fault: None };
    let mut portion = AT_ONCE;
    // Before anything else: one that is made meanwhile may be beyond what is read below.
    let last_anchor = log.last_anchor().await?;
    while found.fault.is_none() {
        let entries = match log.sealed(found.head.position, portion).await {
            Ok(entries) => entries,
            // One by one from here, to tell which it is.
            Err(PortError::Corrupt(_)) if portion > 1 => {
                portion = 1;
                continue;
            }
            Err(PortError::Corrupt(_)) => {
                found.fault = Some(found.head.fault(FaultKind::Unreadable));
                break;
            }
            Err(error) => return Err(error),
        };
        let Some(last) = entries.last() else { break };
        let anchors = log.anchors(found.head.position.saturating_add(1), last.position).await?;
        found.follow(&entries, &anchors);
    }
    if found.fault.is_none()
        && let Some(last) = last_anchor
        && last.head.position > found.head.position
    {
        found.fault = Some(found.head.fault(FaultKind::Cut));
    }
    Ok(found)
}

impl Verification {
    /// `anchors` are those at the places of the entries.
    fn follow(&mut self, entries: &[SealedEntry], anchors: &[Anchor]) {
        for sealed in entries {
            let next = match self.head.followed_by(sealed) {
                Ok(next) => next,
                Err(fault) => {
                    self.fault = Some(fault);
                    return;
                }
            };
            for anchor in anchors.iter().filter(|anchor| anchor.head.position == next.position) {
                if anchor.head != next {
                    self.fault = Some(self.head.fault(FaultKind::Unanchored));
                    return;
                }
                self.anchors += 1;
            }
            self.head = next;
        }
    }
}

impl Head {
    fn followed_by(self, sealed: &SealedEntry) -> Result<Self, Fault> {
        let next = self.then(&sealed.entry);
        if sealed.position != next.position {
            return Err(self.fault(FaultKind::Missing));
        }
        if sealed.previous != Some(self.hash) {
            return Err(self.fault(FaultKind::Unlinked));
        }
        if sealed.hash != Some(next.hash) {
            return Err(self.fault(FaultKind::Altered));
        }
        Ok(next)
    }

    /// At the place after it.
    fn fault(self, kind: FaultKind) -> Fault {
        Fault { position: self.position.saturating_add(1), kind }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    };

    use chrono::DateTime;

    use super::*;
    use crate::{
        audit::{ChainHash, chain::tests::entry},
        ports::MockAuditLog,
    };

    /// More than two portions.
    const LENGTH: u64 = 250;

    fn chain() -> Vec<SealedEntry> {
        let mut head = Head::START;
        (1..=LENGTH)
            .map(|position| {
                let entry = entry(i64::try_from(position).unwrap());
                let next = head.then(&entry);
                let previous = Some(head.hash);
                head = next;
                SealedEntry { entry, position, previous, hash: Some(next.hash) }
            })
            .collect()
    }

    fn anchor(entry: &SealedEntry) -> Anchor {
        let head = Head { position: entry.position, hash: entry.hash.unwrap() };
        Anchor { day: DateTime::UNIX_EPOCH.date_naive(), head, at: DateTime::UNIX_EPOCH }
    }

    async fn verified(entries: Vec<SealedEntry>, anchors: Vec<Anchor>) -> Verification {
        let mut log = MockAuditLog::new();
        log.expect_sealed().returning(move |after, limit| {
            let rest = entries.iter().filter(|entry| entry.position > after);
            Ok(rest.take(limit as usize).cloned().collect())
        });
        let last = anchors.last().copied();
        log.expect_last_anchor().returning(move || Ok(last));
        log.expect_anchors().returning(move |first, last| {
            let here = |anchor: &&Anchor| (first..=last).contains(&anchor.head.position);
            Ok(anchors.iter().filter(here).copied().collect())
        });
        verify(&log).await.unwrap()
    }

    async fn fault(entries: Vec<SealedEntry>) -> Option<(u64, FaultKind)> {
        let fault = verified(entries, Vec::new()).await.fault;
        fault.map(|fault| (fault.position, fault.kind))
    }

    /// Makes the chain good again from a place on, as somebody would who knows how.
    fn sealed_anew(mut entries: Vec<SealedEntry>, from: usize) -> Vec<SealedEntry> {
        let mut head = match from {
            0 => Head::START,
            _ => anchor(&entries[from - 1]).head,
        };
        for entry in &mut entries[from..] {
            let next = head.then(&entry.entry);
            (entry.position, entry.previous) = (next.position, Some(head.hash));
            entry.hash = Some(next.hash);
            head = next;
        }
        entries
    }

    #[tokio::test]
    async fn what_was_left_alone_holds() {
        let entries = chain();
        let anchors = vec![anchor(&entries[0]), anchor(&entries[99]), anchor(&entries[249])];
        let head = anchors[2].head;

        let found = verified(entries, anchors).await;

        assert_eq!(found, Verification { head, anchors: 3, fault: None });
        let empty = Verification { head: Head::START, anchors: 0, fault: None };
        assert_eq!(verified(Vec::new(), Vec::new()).await, empty);
    }

    #[tokio::test]
    async fn an_edit_is_found_where_it_is() {
        let mut entries = chain();
        entries[120].entry.outcome = "failure".into();
        assert_eq!(fault(entries).await, Some((121, FaultKind::Altered)));

        let mut entries = chain();
        entries[120].hash = Some(ChainHash([1; 32]));
        assert_eq!(fault(entries).await, Some((121, FaultKind::Altered)));

        let mut entries = chain();
        entries[120].entry.outcome = "failure".into();
        let hash = sealed_anew(entries.clone(), 120)[120].hash;
        entries[120].hash = hash;
        assert_eq!(fault(entries).await, Some((122, FaultKind::Unlinked)));
    }

    #[tokio::test]
    async fn a_deletion_is_found() {
        for deleted in [0, 99, 100, 200] {
            let mut entries = chain();
            let place = entries.remove(deleted).position;
            assert_eq!(fault(entries).await, Some((place, FaultKind::Missing)));
        }
    }

    #[tokio::test]
    async fn an_insertion_is_found() {
        let mut entries = chain();
        entries.insert(100, SealedEntry { entry: entry(999), ..entries[100].clone() });
        for later in &mut entries[101..] {
            later.position += 1;
        }
        let forged = Head { position: 100, hash: entries[99].hash.unwrap() }.then(&entry(999));
        entries[100].hash = Some(forged.hash);
        assert_eq!(fault(entries).await, Some((102, FaultKind::Unlinked)));
    }

    #[tokio::test]
    async fn another_order_is_found() {
        let mut entries = chain();
        (entries[7].position, entries[8].position) = (9, 8);
        entries.swap(7, 8);
        assert_eq!(fault(entries).await, Some((8, FaultKind::Unlinked)));

        let mut entries = chain();
        let one = entries[7].entry.clone();
        entries[7].entry = std::mem::replace(&mut entries[8].entry, one);
        assert_eq!(fault(entries).await, Some((8, FaultKind::Altered)));
    }

    #[tokio::test]
    async fn a_chain_that_was_written_anew_is_not_the_one_that_was_anchored() {
        let mut entries = chain();
        let anchors = vec![anchor(&entries[9]), anchor(&entries[149])];
        entries[20].entry.details = "{\"a\":1}".into();
        let entries = sealed_anew(entries, 20);
        assert_eq!(fault(entries.clone()).await, None);

        let found = verified(entries, anchors).await;

        assert_eq!(found.fault, Some(Fault { position: 150, kind: FaultKind::Unanchored }));
        assert_eq!(found.anchors, 1);
    }

    #[tokio::test]
    async fn a_cut_tail_is_found_by_the_anchor() {
        let mut entries = chain();
        let anchors = vec![anchor(&entries[200])];
        entries.truncate(180);

        let found = verified(entries, anchors).await;

        assert_eq!(found.fault, Some(Fault { position: 181, kind: FaultKind::Cut }));
    }

    /// Everything is sealed by portions, so that an anchor may come about beyond what was read.
    #[tokio::test]
    async fn what_is_sealed_and_anchored_meanwhile_is_not_taken_for_a_cut() {
        let entries = chain();
        let all_are_read = Arc::new(AtomicBool::new(false));
        let (read, anchored) = (all_are_read.clone(), entries.clone());
        let mut log = MockAuditLog::new();
        log.expect_anchors().returning(|_, _| Ok(Vec::new()));
        log.expect_sealed().returning(move |after, limit| {
            let rest: Vec<_> =
                entries[..200].iter().filter(|entry| entry.position > after).collect();
            read.fetch_or(rest.is_empty(), Relaxed);
            Ok(rest.into_iter().take(limit as usize).cloned().collect())
        });
        log.expect_last_anchor().returning(move || {
            let last = if all_are_read.load(Relaxed) { 249 } else { 99 };
            Ok(Some(anchor(&anchored[last])))
        });

        let found = verify(&log).await.unwrap();

        assert_eq!((found.head.position, found.fault), (200, None));
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_found_where_it_is() {
        let entries = chain();
        let mut log = MockAuditLog::new();
        log.expect_last_anchor().returning(|| Ok(None));
        log.expect_anchors().returning(|_, _| Ok(Vec::new()));
        log.expect_sealed().returning(move |after, limit| {
            let end = after + u64::from(limit);
            if (after + 1..=end).contains(&105) {
                return Err(PortError::Corrupt("no time".into()));
            }
            let rest = entries.iter().filter(|entry| entry.position > after);
            Ok(rest.take(limit as usize).cloned().collect())
        });

        let found = verify(&log).await;

        let fault = Some(Fault { position: 105, kind: FaultKind::Unreadable });
        assert_eq!(found.unwrap().fault, fault);
    }
}
