//! Calls of several layers or steps: what keeps workers awake between their parts.

use std::sync::atomic::{AtomicUsize, Ordering};

/// How many [`Held`] there are.
static HELD: AtomicUsize = AtomicUsize::new(0);

/// While it lives, workers that have had a job wait for the next for some microseconds, even if their team
/// is gone: teams of one call that follow each other closely find them awake.
pub struct Held(());

/// See [`Held`].
#[must_use]
pub fn hold() -> Held {
    HELD.fetch_add(1, Ordering::Relaxed);
    Held(())
}

/// How many of them there are.
pub(super) fn held() -> usize {
    HELD.load(Ordering::Relaxed)
}

impl Drop for Held {
    fn drop(&mut self) {
        HELD.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether there is any [`Held`].
pub(super) fn is_held() -> bool {
    held() > 0
}

/// How many calls of several steps there are.
static LONG: AtomicUsize = AtomicUsize::new(0);

/// While it lives, a call of several steps goes on, for which waking workers pays that one step does not.
pub struct Long(());

/// See [`Long`].
#[must_use]
pub fn long() -> Long {
    LONG.fetch_add(1, Ordering::Relaxed);
    Long(())
}

impl Drop for Long {
    fn drop(&mut self) {
        LONG.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether there is any [`Long`].
#[must_use]
pub fn is_long() -> bool {
    LONG.load(Ordering::Relaxed) > 0
}
