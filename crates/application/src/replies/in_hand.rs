//! Which replies have a task in this process.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use repartee_domain::GenerationId;

/// Their leases are renewed; a reply of this process that has no task any more is settled like
/// anybody's. Cheap to clone: clones are the same.
#[derive(Clone, Default)]
pub(super) struct InHand(Arc<Mutex<HashSet<GenerationId>>>);

/// While this is held, the reply is in hand.
pub(super) struct Held {
    all: InHand,
    generation: GenerationId,
}

impl InHand {
    pub(super) fn hold(&self, generation: GenerationId) -> Held {
        self.all().insert(generation);
        Held { all: self.clone(), generation }
    }

    pub(super) fn holds(&self, generation: GenerationId) -> bool {
        self.all().contains(&generation)
    }

    pub(super) fn generations(&self) -> Vec<GenerationId> {
        self.all().iter().copied().collect()
    }

    fn all(&self) -> MutexGuard<'_, HashSet<GenerationId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.all.all().remove(&self.generation);
    }
}
