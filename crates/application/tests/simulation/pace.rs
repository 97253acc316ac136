//! How long what is asked takes.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{task::yield_now, time::sleep};

use super::Random;

/// Seeded pauses, so that what several tasks ask comes in between each other in every order. By
/// default there are none.
#[derive(Clone, Default)]
pub(crate) struct Pace(Option<Arc<Mutex<Pauses>>>);

struct Pauses {
    random: Random,
    /// Milliseconds.
    usual: u64,
    longest: u64,
}

impl Pace {
    pub(crate) fn seeded(mut random: Random) -> Self {
        let usual = [1, 5, 50, 400][usize::try_from(random.below(4)).unwrap()];
        // Longer than a lease.
        let longest = [usual, 3_000, 25_000][usize::try_from(random.below(3)).unwrap()];
        Self(Some(Arc::new(Mutex::new(Pauses { random, usual, longest }))))
    }

    pub(crate) async fn pause(&self) {
        let Some(pauses) = &self.0 else { return };
        let (what, millis) = {
            let Pauses { random, usual, longest } = &mut *pauses.lock().unwrap();
            match random.below(128) {
                0 => (0, random.below(*longest)),
                what => (what, random.below(*usual)),
            }
        };
        match what {
            0..16 => sleep(Duration::from_millis(millis)).await,
            16..64 => yield_now().await,
            _ => {}
        }
    }

    /// From now on nothing takes long.
    pub(crate) fn calm(&self) {
        if let Some(pauses) = &self.0 {
            let mut pauses = pauses.lock().unwrap();
            (pauses.usual, pauses.longest) = (2, 2);
        }
    }
}
