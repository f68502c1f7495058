//! Places that callers take: so many in all, and of those so many for one caller.
//!
//! Invariant: a caller that has none is not remembered.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::limits::Counted;

/// What is bounded, and who has how much of it.
#[derive(Debug, Clone)]
pub(super) struct Places {
    all_max: usize,
    of_caller_max: usize,
    taken: Arc<Mutex<HashMap<Counted, usize>>>,
}

/// One place, as long as this lives.
#[derive(Debug)]
pub(super) struct Place {
    places: Places,
    caller: Counted,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// The caller has as many as it may have.
    OfCaller,
    /// All are taken.
    OfAll,
}

impl Places {
    /// So many in all, and so many for each caller.
    pub(super) fn new(all_max: usize, of_caller_max: usize) -> Self {
        Self { all_max, of_caller_max, taken: Arc::default() }
    }

    /// One more place for a caller, if there is any.
    pub(super) fn take(&self, caller: Counted) -> Result<Place, Full> {
        let mut taken = self.lock();
        let own = taken.get(&caller).copied().unwrap_or_default();
        if own >= self.of_caller_max {
            return Err(Full::OfCaller);
        }
        if taken.values().sum::<usize>() >= self.all_max {
            return Err(Full::OfAll);
        }
        taken.insert(caller.clone(), own + 1);
        drop(taken);
        Ok(Place { places: self.clone(), caller })
    }

    /// What one thread did while it held the lock cannot be half done.
    fn lock(&self) -> MutexGuard<'_, HashMap<Counted, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        match taken.get_mut(&self.caller) {
            Some(own) if *own > 1 => *own -= 1,
            _ => {
                taken.remove(&self.caller);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(name: &str) -> Counted {
        Counted::Token(name.into())
    }

    #[test]
    fn one_caller_does_not_take_the_places_of_all() {
        let places = Places::new(5, 2);
        let first = places.take(caller("page")).expect("a place");
        let _second = places.take(caller("page")).expect("a place");
        assert_eq!(places.take(caller("page")).map(drop), Err(Full::OfCaller));
        let other = places.take(caller("night"));
        assert!(other.is_ok(), "another caller has places");

        drop(first);

        assert!(places.take(caller("page")).is_ok(), "one is free");
    }

    #[test]
    fn all_callers_together_are_bounded_and_forgotten_once_they_are_gone() {
        let places = Places::new(3, 2);
        let mut held = Vec::new();
        for name in ["a", "a", "b"] {
            held.push(places.take(caller(name)).expect("a place"));
        }
        assert_eq!(places.take(caller("c")).map(drop), Err(Full::OfAll));

        held.clear();

        assert!(places.lock().is_empty(), "nobody is counted any more");
        assert!(places.take(caller("c")).is_ok());
    }
}
