//! Threads: how many a call may use, a small pool that runs independent pieces of work, and the wish
//! to stop.
//!
//! Workers sleep between the regions of a call and after it; nothing ever spins without work. A
//! caller that finds the pool busy does its work alone, so no thread waits for another's call. The
//! pool belongs to one process: after a `fork` the child, which has none of its threads, makes its
//! own.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// Multiply-adds for each thread below which another does not pay: about 50 us at the speed of a
/// modern core, where waking a sleeping worker takes 5 to 13 us.
const SHARE: usize = 2_500_000;

/// The number that `set_count` has set; 0 before.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// The number of threads a call may use: the one set, else `FERRNN_NUM_THREADS`, else the CPUs that
/// this process may use.
///
/// # Errors
/// If `FERRNN_NUM_THREADS` is not a positive number.
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
            _ => Err(Error::value("FERRNN_NUM_THREADS", "a positive number", text)),
        },
        _ => Ok(thread::available_parallelism().map_or(1, usize::from)),
    }
}

/// Sets the number of threads a call may use; at least one.
pub fn set_count(threads: usize) {
    COUNT.store(threads.max(1), Ordering::Relaxed);
}

/// The number of threads that pay for `work` multiply-adds.
///
/// # Errors
/// As [`count`].
pub fn worth(work: usize) -> Result<usize> {
    Ok(count()?.min(work / SHARE).max(1))
}

/// Calls `work` once for each state, on up to `threads` threads, in unspecified order. `work` is told
/// which worker it runs on; the calling thread is number 0. A panic in `work` goes on in the caller.
pub fn for_each<S: Send>(threads: usize, states: &mut [S], work: impl Fn(usize, &mut S) + Sync) {
    let helpers = threads.min(states.len()).saturating_sub(1);
    let count = states.len();
    let base = AtomicPtr::new(states.as_mut_ptr());
    let next = AtomicUsize::new(0);
    let share = |worker: usize| {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return;
            }
            // SAFETY: `fetch_add` gives each index below the length to one worker only, so this is
            // the one reference to that state; `states` stays borrowed until all workers are done.
            let state = unsafe { &mut *base.load(Ordering::Relaxed).add(index) };
            work(worker, state);
        }
    };
    match Pool::get().filter(|_| helpers > 0) {
        Some(pool) if !pool.busy.swap(true, Ordering::Acquire) => {
            let panic = pool.run(helpers, &share);
            pool.busy.store(false, Ordering::Release);
            if let Some(panic) = panic {
                resume_unwind(panic);
            }
        }
        _ => share(0),
    }
}

type Panic = Box<dyn Any + Send>;

/// One region of a call, on the caller's stack.
struct Job<'a> {
    work: &'a (dyn Fn(usize) + Sync),
    /// Helpers that have not finished.
    pending: AtomicUsize,
    caller: Thread,
    panic: Mutex<Option<Panic>>,
}

impl Job<'_> {
    fn run(&self, worker: usize) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (self.work)(worker))) {
            self.panic.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(panic);
        }
    }
}

/// What one worker is to do next; null while there is nothing.
type Slot = Arc<AtomicPtr<Job<'static>>>;

/// The workers of one process.
struct Pool {
    process: u32,
    busy: AtomicBool,
    workers: Mutex<Vec<(Slot, Thread)>>,
}

/// The pool in use; one is leaked for each process that a `fork` made.
static POOL: AtomicPtr<Pool> = AtomicPtr::new(std::ptr::null_mut());

impl Pool {
    fn get() -> Option<&'static Self> {
        let process = std::process::id();
        let current = POOL.load(Ordering::Acquire);
        // SAFETY: a pointer in `POOL` comes from `Box::into_raw` below and is never freed.
        if let Some(pool) = unsafe { current.as_ref() }
            && pool.process == process
        {
            return Some(pool);
        }
        let busy = AtomicBool::new(false);
        let fresh = Box::into_raw(Box::new(Self { process, busy, workers: Mutex::default() }));
        let won = POOL.compare_exchange(current, fresh, Ordering::AcqRel, Ordering::Acquire);
        if won.is_err() {
            // SAFETY: nobody has seen the box.
            drop(unsafe { Box::from_raw(fresh) });
            return None;
        }
        // SAFETY: as above; the box has just been leaked.
        unsafe { fresh.as_ref() }
    }

    /// Runs `work` on the caller and on `helpers` workers, or on fewer if no more threads can be
    /// had; gives the first panic. The caller has `busy`.
    fn run(&self, helpers: usize, work: &(dyn Fn(usize) + Sync)) -> Option<Panic> {
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        while workers.len() < helpers {
            let Some(worker) = spawn(workers.len() + 1) else { break };
            workers.push(worker);
        }
        let helpers = &workers[..helpers.min(workers.len())];
        let job = Job {
            work,
            pending: AtomicUsize::new(helpers.len()),
            caller: thread::current(),
            panic: Mutex::new(None),
        };
        for (slot, thread) in helpers {
            slot.store((&raw const job).cast::<Job<'static>>().cast_mut(), Ordering::Release);
            thread.unpark();
        }
        job.run(0);
        while job.pending.load(Ordering::Acquire) > 0 {
            thread::park();
        }
        job.panic.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A worker that waits for jobs, asleep.
fn spawn(number: usize) -> Option<(Slot, Thread)> {
    let slot = Slot::default();
    let own = slot.clone();
    let body = move || {
        loop {
            let job = own.swap(std::ptr::null_mut(), Ordering::Acquire);
            // SAFETY: `Pool::run` stores a pointer to a job that it keeps alive until `pending` is
            // zero, to which this worker's share is added below, after its last use of the job.
            let Some(job) = (unsafe { job.as_ref() }) else {
                thread::park();
                continue;
            };
            job.run(number);
            let caller = job.caller.clone();
            if job.pending.fetch_sub(1, Ordering::Release) == 1 {
                caller.unpark();
            }
        }
    };
    let thread = thread::Builder::new().name(format!("ferrnn-{number}")).spawn(body).ok()?;
    Some((slot, thread.thread().clone()))
}

/// How often a long call asks whether to go on.
const POLL: Duration = Duration::from_millis(10);

/// Whether to give up, asked about every 10 ms on the calling thread.
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
