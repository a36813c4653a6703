//! Threads: how many a call may use, and running independent pieces of work on them.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// Calls `work` once for each state, on up to `threads` threads, in unspecified order. `work` is told
/// which worker it runs on; the calling thread is number 0.
pub fn for_each<S: Send>(threads: usize, states: &mut [S], work: impl Fn(usize, &mut S) + Sync) {
    let _ = threads;
    for state in states.iter_mut() {
        work(0, state);
    }
}

/// The number of threads a call may use.
#[must_use]
pub fn count() -> usize {
    1
}

/// Sets the number of threads a call may use.
pub fn set_count(threads: usize) {
    let _ = threads;
}

/// The number of threads that pay for `work` multiply-adds.
#[must_use]
pub fn worth(work: usize) -> usize {
    let _ = work;
    1
}

/// How often a long call asks whether to go on.
const POLL: Duration = Duration::from_millis(10);

/// Whether to give up: asked on the calling thread now and then, seen by all.
pub struct Stop<'a> {
    ask: &'a (dyn Fn() -> bool + Sync),
    stopped: AtomicBool,
    start: Instant,
    next: AtomicU64,
}

impl<'a> Stop<'a> {
    /// A token that asks `ask`.
    #[must_use]
    pub fn new(ask: &'a (dyn Fn() -> bool + Sync)) -> Self {
        let next = AtomicU64::new(POLL.as_micros() as u64);
        Self { ask, stopped: AtomicBool::new(false), start: Instant::now(), next }
    }

    /// Asks, if it is time and this is the calling thread.
    ///
    /// # Errors
    /// If the answer is or was yes.
    pub fn poll(&self, worker: usize) -> Result<()> {
        if worker == 0 {
            let now = self.start.elapsed().as_micros() as u64;
            if now >= self.next.load(Ordering::Relaxed) {
                self.next.store(now + POLL.as_micros() as u64, Ordering::Relaxed);
                if (self.ask)() {
                    self.stopped.store(true, Ordering::Relaxed);
                }
            }
        }
        if self.stopped.load(Ordering::Relaxed) { Err(Error::Interrupted) } else { Ok(()) }
    }
}
