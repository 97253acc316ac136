//! Reading a feed as a story that has to add up.

use std::collections::BTreeMap;

use repartee_tests::server::Event;
use serde_json::Value;

use crate::support::text;

/// Replies may interleave; within one, and among all that is no delta, the order is fixed.
#[derive(Debug, Default)]
pub(super) struct Story {
    /// Everything but deltas, as it was told: its name, and what it is about. A conversation is
    /// told as it is when it is told, which may be later for one reader than for another.
    changes: Vec<(String, [Value; 4])>,
    /// The text of each reply, with the number of each delta.
    replies: BTreeMap<String, Vec<(u64, String)>>,
}

impl Story {
    #[track_caller]
    pub(super) fn of<'a>(events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut story = Self::default();
        for event in events {
            let data = event.json();
            assert!(!event.id.is_empty(), "every event can be resumed after: {event:?}");
            if event.name != "generation.delta" {
                let about = ["conversation_id", "generation_id", "seq", "outcome"];
                story.changes.push((event.name.clone(), about.map(|name| data[name].clone())));
                continue;
            }
            let generation = text(&data["generation_id"]).to_owned();
            let seq = data["seq"].as_u64().expect("a delta has a number");
            let delta = (seq, text(&data["text"]).to_owned());
            story.replies.entry(generation).or_default().push(delta);
        }
        story
    }

    /// What the deltas of a reply add up to, none lost, none twice.
    #[track_caller]
    pub(super) fn written(&self, generation: &str) -> String {
        let deltas = self.deltas(generation);
        for ((seq, _), expected) in deltas.iter().zip(2..) {
            assert_eq!(*seq, expected, "no gap after the start: {deltas:?}");
        }
        deltas.iter().map(|(_, text)| &**text).collect()
    }

    /// What happened, without the deltas.
    pub(super) fn names(&self) -> Vec<&str> {
        self.changes.iter().map(|(name, _)| &**name).collect()
    }

    pub(super) fn count_deltas(&self) -> usize {
        self.replies.values().map(Vec::len).sum()
    }

    /// Another reader was told the same. Of a reply that was over by then its end is enough, which
    /// has all of the text; but no delta is left out before another, and none comes twice.
    #[track_caller]
    pub(super) fn assert_retold_by(&self, other: &Self) {
        assert_eq!(other.changes, self.changes);
        for (generation, deltas) in &other.replies {
            assert!(self.deltas(generation).starts_with(deltas), "{generation}: {deltas:?}");
        }
    }

    fn deltas(&self, generation: &str) -> &[(u64, String)] {
        self.replies.get(generation).map_or(&[], Vec::as_slice)
    }
}
