//! Threads: how many a call may use, the team that runs it, rows that its members exchange step by
//! step, and requests to stop.

mod cores;
mod crowd;
mod exchange;
mod held;
mod team;
mod together;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

pub use exchange::{Exchange, Geometry, Planes, Turn, UnitsMut};
pub use held::{Held, Long, hold, is_long, long};
pub use team::{MOST_PIECES, Team, for_each};
pub(crate) use together::together;

use crate::error::{Error, Result};

/// With fewer multiply-adds for each thread than this, another thread does not pay: about 30 us at
/// the speed of a modern core, where waking a sleeping worker takes 5 to 13 us.
const SHARE: usize = 1_600_000;
/// The same while a worker is awake, waiting for its next job: about 2.5 us.
const SHARE_AWAKE: usize = 130_000;

/// The same for a step of a stream, of which most is over when a worker has woken up: in a virtual
/// machine that takes 25 us, after 8 us of the caller's time.
const SHARE_OF_STEP: usize = 2 * SHARE;

/// The number that `set_count` has set; 0 until then.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// The number of threads a call may use: the one set, else `FERRNN_NUM_THREADS`, else the CPUs that
/// this process may use.
///
/// # Errors
/// If `FERRNN_NUM_THREADS` is not a positive integer.
pub fn count() -> Result<usize> {
    static DEFAULT: OnceLock<Result<usize>> = OnceLock::new();
    match COUNT.load(Ordering::Relaxed) {
        0 => DEFAULT.get_or_init(default_count).clone(),
        set => Ok(set),
    }
}

/// Where the number of threads comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// [`set_count`].
    Set,
    /// `FERRNN_NUM_THREADS`.
    Environment,
    /// The CPUs that this process may use.
    Cpus,
}

/// Where [`count`] comes from.
pub fn source() -> Source {
    match std::env::var("FERRNN_NUM_THREADS") {
        _ if COUNT.load(Ordering::Relaxed) > 0 => Source::Set,
        Ok(text) if !text.is_empty() => Source::Environment,
        _ => Source::Cpus,
    }
}

fn default_count() -> Result<usize> {
    match std::env::var("FERRNN_NUM_THREADS") {
        Ok(text) if !text.is_empty() => match text.trim().parse() {
            Ok(count) if count > 0 => Ok(count),
            _ => Err(Error::value("FERRNN_NUM_THREADS", "a positive integer", text)),
        },
        _ => Ok(thread::available_parallelism().map_or(1, usize::from)),
    }
}

/// Sets the number of threads a call may use; at least one.
pub fn set_count(threads: usize) {
    COUNT.store(threads.max(1), Ordering::Relaxed);
}

/// The number of threads worth using for `work` multiply-adds now: one while other programs use the
/// cores, as the waits of the last calls have shown.
///
/// # Errors
/// As [`count`].
pub fn worth(work: usize) -> Result<usize> {
    let share = if team::is_awake() { SHARE_AWAKE } else { SHARE };
    let most = count()?.min(work / share).max(1);
    Ok(if most > 1 && crowd::is_crowded() { 1 } else { most })
}

/// The number of threads worth using for a step of a stream: `work` are its multiply-adds, or the bytes
/// of weights that it reads if they are more. The step is [`hold`]ing: if others do so too, each keeps to
/// its own thread.
#[must_use]
#[inline]
pub fn worth_step(work: usize) -> usize {
    if work < 2 * SHARE_OF_STEP { 1 } else { worth_large_step(work) }
}

#[cold]
fn worth_large_step(work: usize) -> usize {
    if crowd::overlaps(held::held() > 1) {
        return 1;
    }
    // A number of threads that cannot be read is for longer calls to report.
    worth(work / (SHARE_OF_STEP / SHARE)).unwrap_or(1)
}

/// How often a long call checks whether to go on.
const POLL: Duration = Duration::from_millis(10);

/// Answers whether to give up; asked about every 10 ms on the calling thread.
pub type Ask<'a> = &'a (dyn Fn() -> bool + Sync);

/// Whether to give up: asked on the calling thread now and then, seen by all.
pub struct Stop<'a> {
    ask: Ask<'a>,
    stopped: AtomicBool,
    start: Instant,
    next: AtomicU64,
}

impl<'a> Stop<'a> {
    /// A token that asks `ask`.
    #[must_use]
    pub fn new(ask: Ask<'a>) -> Self {
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
