//! Where threads run. Linux may wake a worker on the core of the caller that waits for it, though others
//! are idle, and leave it there: both then take turns, and a call takes longer than on one thread.

#[cfg(all(target_os = "linux", not(miri)))]
mod linux {
    use std::mem::{MaybeUninit, size_of};

    const SIZE: usize = size_of::<libc::cpu_set_t>();

    /// The core on which this thread runs, below zero if that is not known.
    pub(crate) fn current() -> i32 {
        // SAFETY: it takes no arguments, and only asks.
        unsafe { libc::sched_getcpu() }
    }

    /// This thread, for [`move_away`].
    pub(crate) fn this_thread() -> i32 {
        // SAFETY: it takes no arguments, and only asks.
        unsafe { libc::gettid() }
    }

    /// The cores on which this thread may run.
    pub(crate) fn allowed() -> Option<libc::cpu_set_t> {
        let mut cores = MaybeUninit::<libc::cpu_set_t>::zeroed();
        // SAFETY: the set is as long as is said; all zeros are a set.
        unsafe {
            let done = libc::sched_getaffinity(0, SIZE, cores.as_mut_ptr()) == 0;
            done.then(|| cores.assume_init())
        }
    }

    /// Lets this thread run on those cores again.
    pub(crate) fn return_to(cores: Option<&libc::cpu_set_t>) {
        if let Some(cores) = cores {
            // SAFETY: the set is as long as is said.
            unsafe { libc::sched_setaffinity(0, SIZE, &raw const *cores) };
        }
    }

    /// Lets a thread run on all cores of the caller but one. What fails leaves it where it is.
    pub(crate) fn move_away(thread: i32, core: i32) {
        let Ok(core) = usize::try_from(core) else { return };
        let Some(mut cores) = allowed() else { return };
        // SAFETY: the functions check that the core is within the set; the set is as long as is said, and a
        // thread that has ended is refused.
        unsafe {
            if core >= 8 * SIZE || !libc::CPU_ISSET(core, &cores) || libc::CPU_COUNT(&cores) < 2 {
                return;
            }
            libc::CPU_CLR(core, &mut cores);
            libc::sched_setaffinity(thread, SIZE, &raw const cores);
        }
    }
}

#[cfg(all(target_os = "linux", not(miri)))]
pub(super) use linux::{allowed, current, move_away, return_to, this_thread};

/// The core on which this thread runs: not known.
#[cfg(not(all(target_os = "linux", not(miri))))]
pub(super) fn current() -> i32 {
    -1
}

/// This thread: not known.
#[cfg(not(all(target_os = "linux", not(miri))))]
pub(super) fn this_thread() -> i32 {
    0
}

/// The cores on which this thread may run: not known.
#[cfg(not(all(target_os = "linux", not(miri))))]
pub(super) fn allowed() -> Option<()> {
    None
}

/// Leaves this thread where it may run.
#[cfg(not(all(target_os = "linux", not(miri))))]
pub(super) fn return_to(_cores: Option<&()>) {}

/// Leaves a thread where it is.
#[cfg(not(all(target_os = "linux", not(miri))))]
pub(super) fn move_away(_thread: i32, _core: i32) {}
