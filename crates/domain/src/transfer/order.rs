//! The order in which the messages of a file are stored.

use std::{cmp::Reverse, collections::BinaryHeap};

use super::Node;

/// Where a message comes to stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Among the nodes that came.
    pub node: usize,
    /// The place of the message that it follows, which is an earlier one.
    pub follows: Option<usize>,
}

/// Every message that is to be kept, once: after the one that it follows, otherwise as they came,
/// and last the one that ends the open branch. Takes any graph: what follows itself, by whatever
/// way round, follows nothing instead.
pub(super) fn arrange(nodes: &[Node], open: Option<usize>) -> Vec<Place> {
    let mut parents = kept_parents(nodes);
    let order = in_order(nodes, &mut parents);
    let end = open.and_then(|open| end_of(open, nodes, &parents, &order));
    let last = end.into_iter();
    let order = order.iter().copied().filter(|node| Some(*node) != end).chain(last);
    let mut places = vec![None; nodes.len()];
    let mut arranged = Vec::with_capacity(nodes.len());
    for (place, node) in order.enumerate() {
        places[node] = Some(place);
        let follows = parents[node].and_then(|parent| places[parent]);
        arranged.push(Place { node, follows });
    }
    arranged
}

/// Whether some message is followed by another than the next one.
pub(super) fn is_branched(places: &[Place]) -> bool {
    places.iter().enumerate().any(|(place, it)| it.follows != place.checked_sub(1))
}

/// The message that each node follows, past those that aren't kept.
fn kept_parents(nodes: &[Node]) -> Vec<Option<usize>> {
    let mut found: Vec<Option<Option<usize>>> = vec![None; nodes.len()];
    for node in 0..nodes.len() {
        let mut way = Vec::new();
        let mut at = node;
        let kept = loop {
            if let Some(known) = found[at] {
                break known;
            }
            // Until it is known: whoever comes by again has gone round.
            found[at] = Some(None);
            way.push(at);
            match nodes[at].parent.filter(|parent| *parent < nodes.len()) {
                Some(parent) if nodes[parent].said.is_some() => break Some(parent),
                Some(parent) => at = parent,
                None => break None,
            }
        };
        for passed in way {
            found[passed] = Some(kept);
        }
    }
    found.into_iter().map(Option::flatten).collect()
}

/// Breaks what goes round, at the message that came first.
fn in_order(nodes: &[Node], parents: &mut [Option<usize>]) -> Vec<usize> {
    let kept = || (0..nodes.len()).filter(|node| nodes[*node].said.is_some());
    let mut children = vec![Vec::new(); nodes.len()];
    for node in kept() {
        if let Some(parent) = parents[node] {
            children[parent].push(node);
        }
    }
    let mut is_placed = vec![false; nodes.len()];
    let mut order = Vec::with_capacity(nodes.len());
    let roots = kept().filter(|node| parents[*node].is_none());
    let mut ready: BinaryHeap<_> = roots.map(Reverse).collect();
    let mut left = kept();
    loop {
        while let Some(Reverse(node)) = ready.pop() {
            if !std::mem::replace(&mut is_placed[node], true) {
                order.push(node);
                ready.extend(children[node].iter().copied().map(Reverse));
            }
        }
        let Some(in_a_ring) = left.find(|node| !is_placed[*node]) else { return order };
        parents[in_a_ring] = None;
        ready.push(Reverse(in_a_ring));
    }
}

/// The end of the branch through `open`: down from there, always what comes last.
fn end_of(
    open: usize,
    nodes: &[Node],
    parents: &[Option<usize>],
    order: &[usize],
) -> Option<usize> {
    let node = nodes.get(open)?;
    let mut end = if node.said.is_some() { open } else { parents[open]? };
    // A message comes before what follows it: once through finds the whole way down, and of several
    // that follow one the last is found by going up from the end.
    let mut last_child = vec![None; nodes.len()];
    for node in order {
        if let Some(parent) = parents[*node] {
            last_child[parent] = Some(*node);
        }
    }
    while let Some(child) = last_child[end] {
        end = child;
    }
    Some(end)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::{option, prelude::*};

    use super::*;
    use crate::{
        messages::{MessageRole, MessageStatus},
        transfer::Said,
    };

    fn node((parent, is_kept): (Option<usize>, bool)) -> Node {
        let said = is_kept.then(|| Said {
            role: MessageRole::User,
            content: "Tea?".into(),
            status: MessageStatus::Complete,
            model: None,
            at: None,
        });
        Node { parent, said }
    }

    fn arranged(
        nodes: impl IntoIterator<Item = (Option<usize>, bool)>,
        open: Option<usize>,
    ) -> (Vec<usize>, Vec<Option<usize>>) {
        let nodes: Vec<_> = nodes.into_iter().map(node).collect();
        let places = arrange(&nodes, open);
        places.iter().map(|place| (place.node, place.follows)).unzip()
    }

    #[test]
    fn a_chain_stays_one_whatever_is_left_out_of_it() {
        let nodes = [(None, false), (Some(0), true), (Some(1), false), (Some(2), true)];
        assert_eq!(arranged(nodes, Some(3)), (vec![1, 3], vec![None, Some(0)]));
        assert!(!is_branched(&arrange(&nodes.map(node), Some(3))));
    }

    #[test]
    fn the_open_branch_ends_last() {
        // 0 is answered by 1 and, later, by 3; 1 was gone on with.
        let nodes = [(None, true), (Some(0), true), (Some(1), true), (Some(0), true)];
        let through = |open| arranged(nodes, open);
        assert_eq!(through(None), (vec![0, 1, 2, 3], vec![None, Some(0), Some(1), Some(0)]));
        assert_eq!(through(Some(2)), (vec![0, 1, 3, 2], vec![None, Some(0), Some(0), Some(1)]));
        assert_eq!(through(Some(1)), through(Some(2)));
        assert_eq!(through(Some(7)), through(None));
        assert!(is_branched(&arrange(&nodes.map(node), Some(2))));
    }

    #[test]
    fn what_goes_round_begins_where_it_came_first() {
        assert_eq!(arranged([(Some(0), true)], None), (vec![0], vec![None]));
        let ring = [(Some(2), true), (Some(0), true), (Some(1), false)];
        assert_eq!(arranged(ring, Some(0)), (vec![0, 1], vec![None, Some(0)]));
    }

    #[test]
    fn long_chains_of_nothing_are_passed_once() {
        let hidden = (0..200_000_usize).map(|n| (n.checked_sub(1), n % 2 == 0));
        assert_eq!(arranged(hidden.rev(), None).0.len(), 100_000);
    }

    proptest! {
        #[test]
        fn any_graph_comes_out_whole_and_in_order(
            nodes in prop::collection::vec((option::of(0..40_usize), any::<bool>()), 0..30),
            open in option::of(0..40_usize),
        ) {
            let nodes: Vec<_> = nodes.into_iter().map(node).collect();
            let places = arrange(&nodes, open);

            let kept = |node: &Node| node.said.is_some();
            let seen: HashSet<_> = places.iter().map(|place| place.node).collect();
            prop_assert_eq!(seen.len(), places.len(), "none comes twice");
            prop_assert_eq!(places.len(), nodes.iter().filter(|node| kept(node)).count());
            for (place, it) in places.iter().enumerate() {
                prop_assert!(kept(&nodes[it.node]));
                prop_assert!(it.follows.is_none_or(|parent| parent < place));
                // Whoever has a parent that is kept follows it, unless that goes round.
                let parent = nodes[it.node].parent.filter(|p| nodes.get(*p).is_some_and(kept));
                if let (Some(parent), Some(follows)) = (parent, it.follows) {
                    prop_assert_eq!(places[follows].node, parent);
                }
            }
            let open = open.filter(|open| nodes.get(*open).is_some_and(kept));
            if let (Some(open), Some(last)) = (open, places.len().checked_sub(1)) {
                let up = std::iter::successors(Some(last), |place| places[*place].follows);
                prop_assert!(up.map(|place| places[place].node).any(|node| node == open));
            }
        }
    }
}
