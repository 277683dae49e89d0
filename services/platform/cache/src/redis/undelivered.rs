//! What changed here and Redis does not know yet.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::Space;

/// The most keys; beyond, everything kept in Redis is given up instead.
const MOST: usize = 50_000;

/// Keys that were forgotten here and still have to be elsewhere. Redis is not asked for them meanwhile.
#[derive(Debug, Default)]
pub(crate) struct Undelivered {
    count: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    spaces: HashMap<&'static str, (Space, HashMap<String, u64>)>,
    ticket: u64,
    /// How often a new generation was asked for, and how many of these were granted.
    wanted: u64,
    granted: u64,
}

/// Some keys of a space, each with the ticket under which it waits.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) space: Space,
    pub(crate) keys: Vec<(String, u64)>,
}

impl Undelivered {
    /// Notes keys; from now on [`Self::has`] them.
    pub(crate) fn add(&self, space: Space, keys: Vec<String>) -> Batch {
        let mut state = self.lock();
        state.ticket += 1;
        let ticket = state.ticket;
        let waiting = &mut state.spaces.entry(space.name).or_insert_with(|| (space, HashMap::new())).1;
        waiting.extend(keys.iter().map(|key| (key.clone(), ticket)));
        if state.spaces.values().map(|(_, keys)| keys.len()).sum::<usize>() > MOST {
            state.spaces.clear();
            state.wanted += 1;
        }
        self.recount(&state);
        Batch { space, keys: keys.into_iter().map(|key| (key, ticket)).collect() }
    }

    /// Asks for a new generation: nothing that Redis keeps is to be believed.
    pub(crate) fn want_generation(&self) {
        let mut state = self.lock();
        state.wanted += 1;
        self.recount(&state);
    }

    /// The number of the last wish for a generation, where it is not granted.
    pub(crate) fn wanted_generation(&self) -> Option<u64> {
        let state = self.lock();
        (state.wanted > state.granted).then_some(state.wanted)
    }

    /// The wishes up to this one are granted.
    pub(crate) fn grant_generation(&self, wish: u64) {
        let mut state = self.lock();
        state.granted = state.granted.max(wish);
        self.recount(&state);
    }

    /// Whether what Redis has under `key` may be older than what was changed here.
    pub(crate) fn has(&self, space: &str, key: &str) -> bool {
        if self.is_empty() {
            return false;
        }
        let state = self.lock();
        state.wanted > state.granted
            || state
                .spaces
                .get(space)
                .is_some_and(|(_, keys)| keys.contains_key(key) || keys.contains_key("*"))
    }

    /// Whether there is nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.count.load(Ordering::SeqCst) == 0
    }

    /// Everything.
    pub(crate) fn all(&self) -> Vec<Batch> {
        if self.is_empty() {
            return Vec::new();
        }
        let batch = |(space, keys): &(Space, HashMap<String, u64>)| Batch {
            space: *space,
            keys: keys.iter().map(|(key, ticket)| (key.clone(), *ticket)).collect(),
        };
        self.lock().spaces.values().map(batch).collect()
    }

    /// These were delivered. A key that was noted again meanwhile stays.
    pub(crate) fn done(&self, batch: &Batch) {
        let mut state = self.lock();
        if let Some((_, waiting)) = state.spaces.get_mut(batch.space.name) {
            for (key, ticket) in &batch.keys {
                if waiting.get(key) == Some(ticket) {
                    waiting.remove(key);
                }
            }
        }
        self.recount(&state);
    }

    fn recount(&self, state: &State) {
        let keys: usize = state.spaces.values().map(|(_, keys)| keys.len()).sum();
        self.count.store(keys + usize::from(state.wanted > state.granted), Ordering::SeqCst);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPACE: Space = Space { name: "s", version: 1, stored: true };

    #[test]
    fn a_key_noted_again_stays() {
        let undelivered = Undelivered::default();
        let first = undelivered.add(SPACE, vec!["a".to_owned(), "b".to_owned()]);
        let again = undelivered.add(SPACE, vec!["a".to_owned()]);
        undelivered.done(&first);
        assert!(undelivered.has("s", "a") && !undelivered.has("s", "b") && !undelivered.has("t", "a"));
        undelivered.done(&again);
        assert!(undelivered.is_empty());
    }

    #[test]
    fn too_many_become_a_new_generation() {
        let undelivered = Undelivered::default();
        undelivered.add(SPACE, (0..=MOST).map(|n| n.to_string()).collect());
        assert!(undelivered.has("other", "x"), "nothing is believed");
        let wish = undelivered.wanted_generation().unwrap();
        undelivered.want_generation();
        undelivered.grant_generation(wish);
        assert!(undelivered.has("other", "x"), "the second wish came later");
        undelivered.grant_generation(undelivered.wanted_generation().unwrap());
        assert!(undelivered.is_empty());
    }
}
