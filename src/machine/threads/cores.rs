//! On which core a thread runs, and how a thread leaves one.

#[cfg(all(target_os = "linux", not(miri)))]
mod linux {
    use std::mem::{MaybeUninit, size_of};

    const SIZE: usize = size_of::<libc::cpu_set_t>();

    /// The core of this thread, if the system tells.
    pub(crate) fn current() -> Option<usize> {
        // SAFETY: it takes no arguments, and only asks.
        usize::try_from(unsafe { libc::sched_getcpu() }).ok()
    }

    /// Where a thread may run, or None if that is not known.
    pub(crate) type Cores = Option<libc::cpu_set_t>;

    /// Where this thread may run.
    pub(crate) fn allowed() -> Cores {
        let mut allowed = MaybeUninit::<libc::cpu_set_t>::zeroed();
        // SAFETY: the set is as long as is said, and all zeros are a set.
        unsafe {
            let known = libc::sched_getaffinity(0, SIZE, allowed.as_mut_ptr()) == 0;
            known.then(|| allowed.assume_init())
        }
    }

    /// Lets this thread run on all allowed cores but one, to which it moves; gives whether it could.
    #[cold]
    pub(crate) fn leave(core: usize, allowed: &Cores) -> bool {
        let Some(mut others) = allowed.filter(|_| core < 8 * SIZE) else { return false };
        // SAFETY: the core is within the set, which is as long as is said.
        unsafe {
            libc::CPU_CLR(core, &mut others);
            libc::CPU_COUNT(&others) > 0 && libc::sched_setaffinity(0, SIZE, &raw const others) == 0
        }
    }
}

#[cfg(all(target_os = "linux", not(miri)))]
pub(super) use linux::{Cores, allowed, current, leave};

/// The core of this thread: not known.
#[cfg(not(all(target_os = "linux", not(miri))))]
pub(super) fn current() -> Option<usize> {
    None
}

/// Where a thread may run: not known.
#[cfg(not(all(target_os = "linux", not(miri))))]
pub(super) type Cores = Option<()>;

/// Where this thread may run: not known.
#[cfg(not(all(target_os = "linux", not(miri))))]
pub(super) fn allowed() -> Cores {
    None
}

/// Leaves this thread where it is.
#[cfg(not(all(target_os = "linux", not(miri))))]
pub(super) fn leave(_core: usize, _allowed: &Cores) -> bool {
    false
}
