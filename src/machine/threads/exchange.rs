//! Rows that the members of a team write by columns and read whole, turn by turn: the outputs of a
//! recurrent step, of which each member computes some units, and which all members read in the next.
//!
//! There are several planes of rows. In each turn one of them is open: every member may write its
//! own units there, and read the other planes. Between two turns all members meet.

use std::marker::PhantomData;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::crowd;
use crate::error::{Error, Result};
use crate::machine::memory::Buffer;
use crate::machine::simd::Element;

/// Turns of the spinning loop of a wait, some 10 us, before the thread offers its core to others.
const SPINS: usize = 1_000;
/// A wait this long means that another program has the other's core, not that the other is a bit
/// behind.
const LONG: Duration = Duration::from_micros(300);
/// Long waits in one call after which the caller goes on alone.
const PATIENCE: usize = 2;

/// How the planes lie: `[plane][row][slot][width]`, rows `stride` apart.
#[derive(Clone, Copy, Debug)]
pub struct Geometry {
    /// Number of rows.
    pub rows: usize,
    /// Vectors of units in a row.
    pub slots: usize,
    /// Elements of a vector of units: all units, and padding if there is any.
    pub width: usize,
    /// Elements between two rows.
    pub stride: usize,
}

/// A member's count of turns, on a cache line (and its neighbour, which is fetched along) of its own.
#[repr(align(128))]
#[derive(Default)]
struct Mark(AtomicUsize);

/// The planes, and the point where the members meet.
pub struct Exchange<T: Element> {
    at: NonNull<T>,
    /// Keeps the memory.
    _planes: Buffer<T>,
    geometry: Geometry,
    /// Which plane is open in each turn, again and again.
    schedule: &'static [usize],
    planes: usize,
    /// The units of each part.
    parts: Vec<Range<usize>>,
    marks: Box<[Mark]>,
    broken: AtomicBool,
    /// The turn after which the caller goes on alone.
    alone_from: AtomicUsize,
}

// SAFETY: the planes are only reached through turns, of which each member has its own; `Turn` says
// why they do not meet.
unsafe impl<T: Element> Sync for Exchange<T> {}
// SAFETY: the exchange owns its memory.
unsafe impl<T: Element> Send for Exchange<T> {}

impl<T: Element> Exchange<T> {
    /// Planes of zeros, written by the parts, each of its own units; `schedule` names the plane that
    /// is open in each turn, and starts again at its end.
    ///
    /// # Errors
    /// If memory runs out.
    ///
    /// # Panics
    /// If the parts' units overlap or go beyond the width.
    pub fn new(
        geometry: Geometry,
        schedule: &'static [usize],
        parts: Vec<Range<usize>>,
    ) -> Result<Self> {
        let mut end = 0;
        for part in &parts {
            assert!(end <= part.start && part.start <= part.end, "parts overlap");
            end = part.end;
        }
        assert!(end <= geometry.width, "units beyond the width");
        assert!(geometry.slots * geometry.width <= geometry.stride, "rows overlap");
        let planes = schedule.iter().max().map_or(2, |last| (last + 1).max(2));
        let mut buffer = Buffer::zeroed(planes * geometry.rows * geometry.stride)?;
        let at = NonNull::from(&mut *buffer).cast::<T>();
        let marks = if parts.len() > 1 {
            // Bounded: a mark for each thread.
            parts.iter().map(|_| Mark::default()).collect()
        } else {
            Box::default()
        };
        Ok(Self {
            at,
            _planes: buffer,
            geometry,
            schedule,
            planes,
            parts,
            marks,
            broken: AtomicBool::new(false),
            alone_from: AtomicUsize::new(usize::MAX),
        })
    }

    /// One plane, between turns.
    ///
    /// # Panics
    /// If there is no such plane.
    pub fn plane_mut(&mut self, plane: usize) -> &mut [T] {
        assert!(plane < self.planes, "no such plane");
        let len = self.geometry.rows * self.geometry.stride;
        // SAFETY: the buffer has `planes` planes of `len` elements, and the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.at.as_ptr().add(plane * len), len) }
    }

    /// The turns of a team with a member for each part.
    pub fn team(&mut self) -> Vec<Turn<'_, T>> {
        let members = self.parts.len();
        for mark in &mut self.marks {
            *mark.0.get_mut() = 0;
        }
        *self.broken.get_mut() = false;
        *self.alone_from.get_mut() = usize::MAX;
        let exchange = &*self;
        let turn = |member| Turn {
            exchange,
            member,
            parts: member..member + 1,
            passed: 0,
            long_waits: 0,
            done: members == 1,
        };
        // Bounded: a turn for each thread.
        (0..members).map(turn).collect()
    }

    /// The turns of one thread that has all parts, from `turn` on.
    pub fn alone(&mut self, turn: usize) -> Turn<'_, T> {
        let parts = 0..self.parts.len();
        Turn { exchange: self, member: 0, parts, passed: turn, long_waits: 0, done: true }
    }

    fn wait(&self, member: usize, turn: usize, long_waits: &mut usize) -> Result<()> {
        let mine = &self.marks[member].0;
        if member == 0 && *long_waits >= PATIENCE {
            // Before this member's mark, so that everyone who sees the mark sees it.
            let _ = self.alone_from.compare_exchange(
                usize::MAX,
                turn,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
        }
        mine.store(turn, Ordering::Release);
        for (n, mark) in self.marks.iter().enumerate() {
            let mut spins = 0;
            while n != member && mark.0.load(Ordering::Acquire) < turn {
                if self.broken.load(Ordering::Relaxed) {
                    return Err(Error::Interrupted);
                }
                if spins < SPINS {
                    spins += 1;
                    std::hint::spin_loop();
                } else {
                    self.wait_long(n, turn, long_waits)?;
                }
            }
        }
        Ok(())
    }

    /// Offers the core to others until the member `n` has arrived.
    #[cold]
    fn wait_long(&self, n: usize, turn: usize, long_waits: &mut usize) -> Result<()> {
        let start = Instant::now();
        while self.marks[n].0.load(Ordering::Acquire) < turn {
            if self.broken.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            thread::yield_now();
        }
        if start.elapsed() > LONG {
            *long_waits += 1;
            if *long_waits == PATIENCE {
                crowd::report();
            }
        }
        Ok(())
    }
}

/// What one thread may do with the planes until the next meeting.
///
/// Sound because in turn `n` all members agree on the open plane, `schedule[n]`; because each writes
/// only there and only units of its own parts, which are disjoint; because `plane` refuses the open
/// one, so nobody reads what somebody writes; and because the turn moves on only in `pass`, which
/// borrows exclusively (no reference of the old turn is left) and returns once all members have
/// arrived. `team` and `alone` borrow the exchange exclusively for as long as their turns live.
pub struct Turn<'e, T: Element> {
    exchange: &'e Exchange<T>,
    member: usize,
    parts: Range<usize>,
    passed: usize,
    /// How often this member waited long.
    long_waits: usize,
    /// Whether nobody waits for this member any more.
    done: bool,
}

impl<T: Element> Turn<'_, T> {
    /// The number of turns that have passed.
    #[must_use]
    pub fn number(&self) -> usize {
        self.passed
    }

    /// The planes to read and the units of `part` to write.
    ///
    /// # Panics
    /// If the part is another member's.
    pub fn open(&mut self, part: usize) -> (Planes<'_, T>, UnitsMut<'_, T>) {
        assert!(self.parts.contains(&part), "another member's part");
        let exchange = self.exchange;
        let open = exchange.schedule[self.passed % exchange.schedule.len()];
        let geometry = exchange.geometry;
        let len = geometry.rows * geometry.stride;
        let planes =
            Planes { at: exchange.at, len, open, count: exchange.planes, life: PhantomData };
        // SAFETY: `open` is below the number of planes, each of `len` elements.
        let at = unsafe { exchange.at.add(open * len) };
        let units = exchange.parts[part].clone();
        (planes, UnitsMut { at, geometry, units, life: PhantomData })
    }

    /// The planes to read.
    #[must_use]
    pub fn planes(&self) -> Planes<'_, T> {
        let exchange = self.exchange;
        let open = exchange.schedule[self.passed % exchange.schedule.len()];
        let len = exchange.geometry.rows * exchange.geometry.stride;
        Planes { at: exchange.at, len, open, count: exchange.planes, life: PhantomData }
    }

    /// Meets the others. Returns whether the caller is to go on alone: all members learn it in the
    /// same turn, but need not act on it then.
    ///
    /// # Errors
    /// If another member has given up.
    pub fn pass(&mut self) -> Result<bool> {
        self.passed += 1;
        if self.done {
            return Ok(false);
        }
        self.exchange.wait(self.member, self.passed, &mut self.long_waits)?;
        Ok(self.exchange.alone_from.load(Ordering::Relaxed) <= self.passed)
    }

    /// Leaves: this member's work is done, or is left to the caller.
    pub fn leave(mut self) {
        self.done = true;
    }
}

impl<T: Element> Drop for Turn<'_, T> {
    fn drop(&mut self) {
        if !self.done {
            self.exchange.broken.store(true, Ordering::Relaxed);
        }
    }
}

/// The planes that can be read in this turn.
#[derive(Clone, Copy)]
pub struct Planes<'t, T> {
    at: NonNull<T>,
    len: usize,
    open: usize,
    count: usize,
    life: PhantomData<&'t [T]>,
}

impl<'t, T> Planes<'t, T> {
    /// One plane, `[row][slot][width]`.
    ///
    /// # Panics
    /// If it is the open one.
    #[must_use]
    #[inline]
    pub fn plane(&self, plane: usize) -> &'t [T] {
        assert!(plane < self.count && plane != self.open, "that plane is being written");
        // SAFETY: the plane exists, and nobody writes to it in this turn, see `Turn`.
        unsafe { std::slice::from_raw_parts(self.at.add(plane * self.len).as_ptr(), self.len) }
    }
}

/// A part's units of the open plane.
pub struct UnitsMut<'t, T> {
    at: NonNull<T>,
    geometry: Geometry,
    units: Range<usize>,
    life: PhantomData<&'t mut [T]>,
}

// SAFETY: as an exclusive borrow of those units, which no other part has.
unsafe impl<T: Send> Send for UnitsMut<'_, T> {}

impl<'t, T> UnitsMut<'t, T> {
    /// All units of the rows of a plane that nobody else uses.
    ///
    /// # Panics
    /// If `plane` does not have the rows of `geometry`, or these overlap.
    pub fn whole(plane: &'t mut [T], geometry: Geometry) -> Self {
        let Geometry { rows, slots, width, stride } = geometry;
        assert!(slots * width <= stride && rows * stride <= plane.len(), "outside the plane");
        let at = NonNull::from(plane).cast();
        Self { at, geometry, units: 0..width, life: PhantomData }
    }

    /// The part's units before `unit`, and those from there on.
    ///
    /// # Panics
    /// If the unit is not the part's.
    #[must_use]
    pub fn split(self, unit: usize) -> (Self, Self) {
        let Self { at, geometry, units: Range { start, end }, life } = self;
        assert!(start <= unit && unit <= end, "outside the part");
        (
            Self { at, geometry, units: start..unit, life },
            Self { at, geometry, units: unit..end, life },
        )
    }

    /// The part's units from `unit` on, of one row: of each slot in turn.
    ///
    /// # Panics
    /// If the row or the unit is not the part's.
    #[inline(always)]
    pub fn slots(&mut self, row: usize, unit: usize) -> impl Iterator<Item = &mut [T]> {
        let Geometry { rows, slots, width, stride } = self.geometry;
        let Range { start, end } = self.units;
        assert!(row < rows && start <= unit && unit <= end, "outside the part");
        let at = self.at;
        (0..slots).map(move |slot| {
            // SAFETY: inside the plane; these units are this part's, those of other slots are others,
            // and the borrow is exclusive.
            unsafe {
                let at = at.add(row * stride + slot * width + unit);
                std::slice::from_raw_parts_mut(at.as_ptr(), end - unit)
            }
        })
    }

    /// The part's units from `unit` on, of the only slot of a row.
    ///
    /// # Panics
    /// If the row or the unit is not the part's, or there are no slots.
    #[inline(always)]
    pub fn from(&mut self, row: usize, unit: usize) -> &mut [T] {
        self.slots(row, unit).next().expect("a slot")
    }

    /// The part's units.
    #[must_use]
    pub fn units(&self) -> Range<usize> {
        self.units.clone()
    }
}
