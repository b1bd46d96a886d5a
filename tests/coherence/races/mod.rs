//! The two races of the live view, played in every order by `shuttle`: the very files of the server, with its locks in place
//! of the system's.

#[path = "../../../src/coherence/live/map.rs"]
#[expect(dead_code, reason = "counting has no race")]
mod map;
#[path = "../../../src/coherence/live/versioned_cache.rs"]
#[expect(dead_code, reason = "freeing memory has no race")]
mod versioned_cache;
mod sync {
    pub use std::sync::PoisonError;

    pub use shuttle::sync::atomic::{AtomicU32, Ordering};
    pub use shuttle::sync::{Mutex, MutexGuard};
}

use std::panic::{AssertUnwindSafe, catch_unwind};

use shuttle::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use shuttle::sync::{Arc, Mutex};
use shuttle::thread;

use map::Map;
use versioned_cache::VersionedCache;

const KEY: u8 = 7;

/// The store's one session, and a live view of it.
struct World {
    is_active: AtomicBool,
    view: Map<u8, bool>,
}

impl World {
    fn new() -> Arc<Self> {
        Arc::new(Self { is_active: AtomicBool::new(true), view: Map::new(16) })
    }

    /// What a check does that finds nothing: announce, ask the store, keep.
    fn fill(&self) {
        let load = self.view.begin_load(KEY);
        let is_active = self.is_active.load(SeqCst);
        load.keep(is_active);
    }

    /// The mistake: the store is asked before the fill is announced.
    fn fill_unmarked(&self) {
        let is_active = self.is_active.load(SeqCst);
        self.view.begin_load(KEY).keep(is_active);
    }

    /// What an end does: commit, then apply. From here on it is acknowledged.
    fn end(&self, apply: impl Fn(&Map<u8, bool>)) {
        self.is_active.store(false, SeqCst);
        apply(&self.view);
        assert_ne!(self.view.get(&KEY), Some(true), "an ended session is alive");
    }
}

/// An end whose caller has gone, a second one that finds the session ended already, and a fill: the second is answered at
/// once, so whatever it can see to be committed must not be in the view.
fn end_twice(hold: bool) {
    let world = World::new();
    world.fill();
    let first = thread::spawn({
        let world = Arc::clone(&world);
        move || {
            if hold {
                world.view.raise_barrier(KEY);
            }
            world.is_active.store(false, SeqCst);
            if hold {
                world.view.lower_barrier(KEY);
            } else {
                world.view.invalidate(&KEY);
            }
        }
    });
    let filling = thread::spawn({
        let world = Arc::clone(&world);
        move || world.fill()
    });
    if !world.is_active.load(SeqCst) {
        assert_ne!(world.view.get(&KEY), Some(true), "the second end was acknowledged too early");
    }
    first.join().unwrap();
    filling.join().unwrap();
    assert_ne!(world.view.get(&KEY), Some(true), "an ended session is alive");
}

/// Fills and an end at the same time; at the end of it all the session must not be alive.
fn play(fillers: usize, fill: fn(&World), apply: fn(&Map<u8, bool>)) {
    let world = World::new();
    let threads: Vec<_> = (0..fillers)
        .map(|_| {
            let world = Arc::clone(&world);
            thread::spawn(move || fill(&world))
        })
        .collect();
    world.end(apply);
    for filler in threads {
        filler.join().unwrap();
    }
    assert_ne!(world.view.get(&KEY), Some(true), "a fill brought an ended session back to life");
}

fn finds_a_fault(race: fn()) -> bool {
    // The orders that fail are printed by the explorer; that they exist is what is asked here.
    catch_unwind(AssertUnwindSafe(|| shuttle::check_dfs(race, None))).is_err()
}

#[test]
fn a_fill_never_brings_an_ended_session_back_to_life() {
    shuttle::check_dfs(|| play(1, World::fill, |view| view.invalidate(&KEY)), None);
    shuttle::check_dfs(|| play(1, World::fill, Map::clear), None);
    shuttle::check_random(|| play(3, World::fill, |view| view.invalidate(&KEY)), 5_000);
}

#[test]
fn the_explorer_finds_the_order_in_which_an_unmarked_fill_does() {
    assert!(finds_a_fault(|| play(1, World::fill_unmarked, |view| view.invalidate(&KEY))));
}

#[test]
fn an_end_that_finds_the_session_ended_is_not_answered_before_the_view_knows() {
    shuttle::check_random(|| end_twice(true), 10_000);
}

#[test]
fn the_explorer_finds_the_order_in_which_an_end_that_only_forgets_afterwards_is() {
    assert!(catch_unwind(AssertUnwindSafe(|| shuttle::check_random(|| end_twice(false), 10_000))).is_err());
}

/// What a check does that keeps what it found beside the token: that, if its version is still the same, or a look-up.
fn check_kept(world: &World, beside: &Mutex<Option<(u32, bool)>>, version_first: bool) -> Option<bool> {
    let kept = *beside.lock().unwrap();
    if let Some((version, is_active)) = kept
        && version == world.view.version(&KEY)
    {
        return Some(is_active);
    }
    let before = world.view.version(&KEY);
    let found = world.view.get(&KEY)?;
    let version = if version_first { before } else { world.view.version(&KEY) };
    *beside.lock().unwrap() = Some((version, found));
    Some(found)
}

fn end_while_checking(version_first: bool, apply: fn(&Map<u8, bool>)) {
    let (world, beside) = (World::new(), Arc::new(Mutex::new(None)));
    world.fill();
    let checking = thread::spawn({
        let (world, beside) = (Arc::clone(&world), Arc::clone(&beside));
        move || check_kept(&world, &beside, version_first)
    });
    world.end(apply);
    assert_ne!(check_kept(&world, &beside, version_first), Some(true), "an ended session is found beside its token");
    checking.join().unwrap();
    assert_ne!(
        check_kept(&world, &beside, version_first),
        Some(true),
        "a check kept an ended session beside its token"
    );
}

#[test]
fn what_is_kept_beside_a_token_does_not_outlive_an_end() {
    shuttle::check_dfs(|| end_while_checking(true, |view| view.invalidate(&KEY)), None);
    shuttle::check_dfs(|| end_while_checking(true, Map::clear), None);
    shuttle::check_dfs(
        || {
            end_while_checking(true, |view| {
                view.raise_barrier(KEY);
                view.lower_barrier(KEY);
            });
        },
        None,
    );
}

#[test]
fn the_explorer_finds_the_order_in_which_a_stamp_read_too_late_does() {
    assert!(finds_a_fault(|| end_while_checking(false, |view| view.invalidate(&KEY))));
}

/// A key that is good or revoked, how often that was read, and tokens verified with it.
struct Keys {
    is_good: AtomicBool,
    generation: AtomicU64,
    verified: VersionedCache<u8, bool>,
}

/// What a check does: the remembered answer of this generation, or verify and remember.
fn check(keys: &Keys, generation_first: bool) -> bool {
    if let Some(is_good) = keys.verified.get(&KEY, keys.generation.load(SeqCst)) {
        return is_good;
    }
    let before = keys.generation.load(SeqCst);
    let is_good = keys.is_good.load(SeqCst);
    let generation = if generation_first { before } else { keys.generation.load(SeqCst) };
    keys.verified.remember(KEY, generation, is_good);
    is_good
}

fn revoke_while_checking(generation_first: bool) {
    let keys =
        Keys { is_good: AtomicBool::new(true), generation: AtomicU64::new(0), verified: VersionedCache::new(16) };
    let keys = Arc::new(keys);
    let checking = thread::spawn({
        let keys = Arc::clone(&keys);
        move || check(&keys, generation_first)
    });
    keys.is_good.store(false, SeqCst);
    keys.generation.fetch_add(1, SeqCst);
    // Acknowledged.
    assert!(!check(&keys, generation_first), "a token of a revoked key is accepted");
    checking.join().unwrap();
    assert!(!check(&keys, generation_first), "a check brought a revoked key back");
}

#[test]
fn a_token_verified_with_a_key_that_is_revoked_meanwhile_is_not_remembered() {
    shuttle::check_dfs(|| revoke_while_checking(true), None);
}

#[test]
fn the_explorer_finds_the_order_in_which_a_generation_read_too_late_does() {
    assert!(finds_a_fault(|| revoke_while_checking(false)));
}
