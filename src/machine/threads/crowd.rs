//! Whether other programs want the cores. If a member of a team waits long for another, another
//! program has the core, and if a member can run on the caller's core alone, there is no other; calls
//! then stay on one thread for a while, longer each time it happens again.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// The first rest, and the longest, in microseconds.
const REST: [u64; 2] = [2_000, 640_000];
/// How soon after a rest a wait counts as caused by the same program: longer than its time slice.
const AGAIN: u64 = 20_000;

/// Until when to stay on one thread, and how long the last rest was; microseconds since `start`.
static UNTIL: AtomicU64 = AtomicU64::new(0);
static LAST_REST: AtomicU64 = AtomicU64::new(0);

/// How long after steps of several callers have overlapped each of them keeps to its own thread, in
/// microseconds, and when they last did.
const APART: u64 = 50_000;
static OVERLAP: AtomicU64 = AtomicU64::new(0);

fn now() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    // At least one, so that a fresh process is not crowded.
    START.get_or_init(Instant::now).elapsed().as_micros() as u64 + 1
}

/// Whether calls should stay on one thread now.
pub(super) fn is_crowded() -> bool {
    let until = UNTIL.load(Ordering::Relaxed);
    until != 0 && now() < until
}

/// Whether steps of several callers overlap now, or have done so a short while ago: one that comes while
/// a helper is at work may take its core, and then nobody goes on with the piece it has begun.
pub(super) fn overlaps(others: bool) -> bool {
    let now = now();
    if others {
        OVERLAP.store(now, Ordering::Relaxed);
    }
    let last = OVERLAP.load(Ordering::Relaxed);
    last != 0 && now < last + APART
}

/// A wait, or a core that two members share, has shown that cores are wanted. The rest is twice as long as
/// the last if that has just ended, and half as long if it ended a while ago: chance waits, which every
/// machine has now and then, do not add up.
pub(super) fn report() {
    let (now, until) = (now(), UNTIL.load(Ordering::Relaxed));
    if now < until {
        return;
    }
    let last = LAST_REST.load(Ordering::Relaxed);
    let rest = if until == 0 {
        REST[0]
    } else if now < until + AGAIN {
        2 * last
    } else if now < until + AGAIN + 2 * last {
        last / 2
    } else {
        REST[0]
    };
    let rest = rest.clamp(REST[0], REST[1]);
    LAST_REST.store(rest, Ordering::Relaxed);
    UNTIL.store(now + rest, Ordering::Relaxed);
}
