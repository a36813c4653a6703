//! A team: the caller and some workers of a small pool, for the regions of one call.
//!
//! Workers spin only between the regions of a call, for some microseconds, and sleep when the team
//! is dropped, or with the last [`super::Held`] if several layers' calls form one; nothing ever spins
//! without a call. A caller that finds the pool taken does its work alone, so no thread waits for
//! another's call. The pool belongs to one process: after a `fork` the child, which has none of its
//! threads, makes its own.

use std::any::Any;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use super::held::is_held;
use super::{cores, crowd};
use crate::machine::lists::{Listed, share};

/// Iterations of the spinning loop before a waiting thread sleeps: about 20 us.
const SPINS: usize = 2_000;
/// The same for workers within a [`super::Held`]: about 60 us.
const SPINS_HELD: usize = 6_000;
/// States at most for which a region reserves no memory.
pub const MOST_PIECES: usize = 32;
/// Pieces of a thread: enough that the others take over most of the share of one that wakes up late.
const PIECES_OF_THREAD: usize = 8;
/// Helpers that finish later than this, and later than half of the caller's own work, have been
/// kept from theirs.
const LATE: Duration = Duration::from_micros(300);

/// How many workers have had a job and wait for the next, awake.
static AWAKE: AtomicUsize = AtomicUsize::new(0);

/// Whether a worker waits for its next job, awake.
pub(super) fn is_awake() -> bool {
    AWAKE.load(Ordering::Relaxed) > 0
}

/// The threads of one call.
pub struct Team {
    workers: Option<MutexGuard<'static, Vec<Worker>>>,
    helpers: usize,
}

impl Team {
    /// The caller and up to `threads - 1` workers: fewer if the system grants no more threads, none
    /// if another call has them. They wake up while the caller prepares their work.
    #[must_use]
    pub fn gather(threads: usize) -> Self {
        let wanted = threads.saturating_sub(1);
        let workers = if wanted == 0 { None } else { Pool::take() };
        let Some(mut workers) = workers else { return Self { workers: None, helpers: 0 } };
        while workers.len() < wanted {
            let Some(worker) = Worker::spawn(workers.len() + 1) else { break };
            // Bounded: the threads that the system grants.
            workers.push(worker);
        }
        let helpers = wanted.min(workers.len());
        let core = cores::current().unwrap_or(usize::MAX);
        for worker in &workers[..helpers] {
            worker.seat.core.store(core, Ordering::Relaxed);
            worker.seat.on_call.store(true, Ordering::Release);
            worker.thread.unpark();
        }
        Self { workers: Some(workers), helpers }
    }

    /// The number of threads, the caller among them.
    #[must_use]
    pub fn size(&self) -> usize {
        1 + self.helpers
    }

    /// Calls `work` once for each state, in unspecified order. `work` is told which member runs it;
    /// the caller is number 0. A panic in `work` is passed on to the caller.
    ///
    /// Each member begins with its own share of the states, the same in every region of as many:
    /// what it wrote in one is still in its cache in the next. Then it takes over what others have
    /// left.
    pub fn for_each<S: Send>(&mut self, states: &mut [S], work: impl Fn(usize, &mut S) + Sync) {
        let count = states.len();
        let helpers = self.helpers.min(count.saturating_sub(1));
        let few = [const { AtomicBool::new(false) }; MOST_PIECES];
        let many = states.iter().skip(MOST_PIECES).map(|_| AtomicBool::new(false)).listed();
        let Some(many) = many.ok().filter(|_| helpers > 0) else {
            for state in states {
                work(0, state);
            }
            return;
        };
        let claimed = |index: usize| few.get(index).unwrap_or_else(|| &many[index - MOST_PIECES]);
        let base = AtomicPtr::new(states.as_mut_ptr());
        let of_member = |member: usize| {
            let first = share(count, member, helpers + 1);
            for index in (first..count).chain(0..first) {
                if !claimed(index).swap(true, Ordering::Relaxed) {
                    // SAFETY: `swap` gives each index below the length to one member only, so this
                    // is the one reference to that state; `states` stays borrowed until all are done.
                    let state = unsafe { &mut *base.load(Ordering::Relaxed).add(index) };
                    work(member, state);
                }
            }
        };
        self.run(helpers, &of_member, true);
    }

    /// How many pieces to cut a short region's work into.
    #[must_use]
    pub fn pieces(&self) -> usize {
        MOST_PIECES.min(PIECES_OF_THREAD * self.size())
    }

    /// The states of so many with which each member begins.
    pub fn shares(&self, count: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        let members = self.size().min(count);
        (0..members).map(move |n| share(count, n, members)..share(count, n + 1, members))
    }

    /// Calls `work` for each state at the same time: member `n` has state `n`.
    ///
    /// # Panics
    /// If there are more states than members, or if `work` panics.
    pub fn together<S: Send>(&mut self, states: &mut [S], work: impl Fn(usize, &mut S) + Sync) {
        assert!(states.len() <= self.size(), "more states than members");
        let base = AtomicPtr::new(states.as_mut_ptr());
        let share = |member: usize| {
            // SAFETY: `run` calls `share` once for each member below the number of states, so this
            // is the one reference to that state; `states` stays borrowed until all are done.
            let state = unsafe { &mut *base.load(Ordering::Relaxed).add(member) };
            work(member, state);
        };
        if let Some(helpers) = states.len().checked_sub(1) {
            self.run(helpers, &share, false);
        }
    }

    /// Runs `work` as each member. If it leaves nothing to do once it is done as one of them, nobody waits
    /// for helpers that have not begun.
    fn run(&mut self, helpers: usize, work: &(dyn Fn(usize) + Sync), leaves_nothing: bool) {
        let workers = self.workers.as_deref().map_or(&[][..], |workers| &workers[..helpers]);
        let job = Job {
            work,
            pending: AtomicUsize::new(workers.len()),
            caller: thread::current(),
            panic: Mutex::new(None),
        };
        for worker in workers {
            let job = (&raw const job).cast::<Job<'static>>().cast_mut();
            worker.seat.job.store(job, Ordering::Release);
            worker.thread.unpark();
        }
        if workers.is_empty() {
            job.run(0);
        } else {
            let start = Instant::now();
            job.run(0);
            for worker in workers.iter().filter(|_| leaves_nothing) {
                // Taken back before the helper has it, or null: then the helper is at work.
                if !worker.seat.job.swap(std::ptr::null_mut(), Ordering::Relaxed).is_null() {
                    job.pending.fetch_sub(1, Ordering::Relaxed);
                }
            }
            let of_caller = start.elapsed();
            wait(|| job.pending.load(Ordering::Acquire) == 0);
            if start.elapsed() > of_caller + (of_caller / 2).max(LATE) {
                crowd::report();
            }
        }
        if let Some(panic) = job.panic.into_inner().unwrap_or_else(PoisonError::into_inner) {
            resume_unwind(panic);
        }
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        for worker in self.workers.iter().flat_map(|workers| &workers[..self.helpers]) {
            worker.seat.on_call.store(false, Ordering::Release);
        }
    }
}

/// Calls `work` once for each state on up to `threads` threads: see [`Team::for_each`].
pub fn for_each<S: Send>(threads: usize, states: &mut [S], work: impl Fn(usize, &mut S) + Sync) {
    Team::gather(threads.min(states.len())).for_each(states, work);
}

/// Waits for `done`: spins, then offers its core to others, then sleeps, not early, for a thread may wake
/// on another's core. Whoever makes it true unparks this thread.
fn wait(done: impl Fn() -> bool) {
    for _ in 0..SPINS {
        if done() {
            return;
        }
        std::hint::spin_loop();
    }
    let start = Instant::now();
    while !done() {
        if start.elapsed() < LATE {
            thread::yield_now();
        } else {
            thread::park();
        }
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
    fn run(&self, member: usize) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (self.work)(member))) {
            self.panic.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(panic);
        }
    }
}

/// What one worker is to do.
#[derive(Default)]
struct Seat {
    /// Its job; null while there is none.
    job: AtomicPtr<Job<'static>>,
    /// Whether a team has it, so that a job may come soon.
    on_call: AtomicBool,
    /// The core on which the team's caller has gathered it.
    core: AtomicUsize,
}

impl Seat {
    /// How many times to look for a job before going to sleep.
    fn patience(&self) -> usize {
        if is_held() {
            SPINS_HELD
        } else if self.on_call.load(Ordering::Acquire) {
            SPINS
        } else {
            0
        }
    }

    /// Linux wakes a worker on its caller's core, where both take turns, if it does not know of another
    /// that is idle: in many virtual machines it never does.
    fn leave_core_of_caller(&self, allowed: &cores::Cores) {
        let of_caller = self.core.load(Ordering::Relaxed);
        if cores::current() == Some(of_caller) && !cores::leave(of_caller, allowed) {
            crowd::report();
        }
    }
}

struct Worker {
    seat: Arc<Seat>,
    thread: Thread,
}

impl Worker {
    /// A worker that waits for jobs, asleep unless a team has it.
    fn spawn(number: usize) -> Option<Self> {
        let seat = Arc::new(Seat::default());
        let of_worker = seat.clone();
        let body = move || {
            let allowed = cores::allowed();
            let (mut spins, mut awake) = (0, false);
            let mut set_awake = |now: bool| {
                if now != awake {
                    let change = if now { 1 } else { usize::MAX };
                    AWAKE.fetch_add(change, Ordering::Relaxed);
                    awake = now;
                }
            };
            loop {
                let job = of_worker.job.swap(std::ptr::null_mut(), Ordering::Acquire);
                // SAFETY: `Team::run` stores a pointer to a job that it keeps alive until `pending`
                // is zero, to which this worker's share is added below, after its last use of it.
                if let Some(job) = unsafe { job.as_ref() } {
                    set_awake(false);
                    of_worker.leave_core_of_caller(&allowed);
                    job.run(number);
                    let caller = job.caller.clone();
                    if job.pending.fetch_sub(1, Ordering::Release) == 1 {
                        caller.unpark();
                    }
                    spins = 0;
                } else if spins < of_worker.patience() {
                    set_awake(true);
                    spins += 1;
                    std::hint::spin_loop();
                } else {
                    set_awake(false);
                    thread::park();
                    of_worker.leave_core_of_caller(&allowed);
                    spins = 0;
                }
            }
        };
        let thread = thread::Builder::new().name(format!("ferrnn-{number}")).spawn(body).ok()?;
        Some(Self { seat, thread: thread.thread().clone() })
    }
}

/// The workers of one process; whoever holds the lock has them.
struct Pool {
    process: u32,
    workers: Mutex<Vec<Worker>>,
}

/// The pool in use; one is leaked for each process that a `fork` made.
static POOL: AtomicPtr<Pool> = AtomicPtr::new(std::ptr::null_mut());

impl Pool {
    /// This process's workers, unless somebody has them.
    fn take() -> Option<MutexGuard<'static, Vec<Worker>>> {
        match Self::get()?.workers.try_lock() {
            Ok(workers) => Some(workers),
            // A job's panic was passed on to its caller; the workers themselves are sound.
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn get() -> Option<&'static Self> {
        let process = std::process::id();
        let current = POOL.load(Ordering::Acquire);
        // SAFETY: a pointer in `POOL` comes from `Box::into_raw` below and is never freed.
        if let Some(pool) = unsafe { current.as_ref() }
            && pool.process == process
        {
            return Some(pool);
        }
        let fresh = Box::into_raw(Box::new(Self { process, workers: Mutex::default() }));
        let won = POOL.compare_exchange(current, fresh, Ordering::AcqRel, Ordering::Acquire);
        if won.is_err() {
            // SAFETY: nobody has seen the box.
            drop(unsafe { Box::from_raw(fresh) });
            return None;
        }
        // Of the process that this one was forked from, perhaps.
        AWAKE.store(0, Ordering::Relaxed);
        // SAFETY: as above; the box has just been leaked.
        unsafe { fresh.as_ref() }
    }
}
