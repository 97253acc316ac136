//! What was said in a conversation, as the databases have it.

use std::{collections::BTreeMap, iter::successors};

use repartee_application::ports::HistoryFrom;
use repartee_domain::{MessageId, messages::Message};

pub(crate) struct Tree<'a> {
    pub(crate) said: BTreeMap<MessageId, &'a Message>,
    pub(crate) is_branched: bool,
}

impl<'a> Tree<'a> {
    /// Newest first.
    pub(crate) fn past(&self, from: HistoryFrom) -> Vec<&'a Message> {
        let newest = || self.said.keys().next_back().copied();
        if !self.is_branched {
            let is_past = |id: MessageId| match from {
                HistoryFrom::End => true,
                HistoryFrom::At(at) => id <= at,
                HistoryFrom::Before(at) => id < at,
            };
            return self.said.values().rev().copied().filter(|m| is_past(m.id)).collect();
        }
        let start = match from {
            HistoryFrom::End => newest(),
            HistoryFrom::At(id) => Some(id),
            HistoryFrom::Before(id) => self.said.get(&id).and_then(|message| message.parent),
        };
        let find = |id: MessageId| self.said.get(&id).copied();
        successors(start.and_then(find), |message| message.parent.and_then(find)).collect()
    }

    /// The parents of those that name none, as the first branch gives them.
    pub(crate) fn threads(&self) -> Vec<(MessageId, Option<MessageId>)> {
        let mut before = None;
        let threads = self.said.values().map(|message| {
            let thread = (message.id, before.replace(message.id));
            (thread, message.parent.is_none())
        });
        threads.filter(|(_, is_without)| *is_without).map(|(thread, _)| thread).collect()
    }
}
