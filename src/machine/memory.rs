//! Memory: aligned buffers that are pooled, and strided views of the caller's arrays.

use std::alloc::{Layout, alloc, dealloc};
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut, Range};
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::error::{Error, Result};
use crate::machine::lists::{self, Listed};
use crate::machine::simd::Element;

/// Alignment of every buffer: a cache line, and the widest vector.
const ALIGN: usize = 64;
/// What the pool keeps at most, in bytes and in buffers: a batch of thousands takes a dozen for each
/// slice of its rows.
const POOL_BYTES: usize = 1 << 29;
const POOL_BUFFERS: usize = 1 << 12;

/// From this size on, a block is asked to lie in pages of this size: weights of many megabytes, read
/// once a step, are read up to half as fast again if their addresses fit into the CPU's tables.
const HUGE_PAGE: usize = 1 << 21;

/// Returned buffers. Fresh pages are dear (a page fault for each 4 KiB), so training reuses them. A
/// pool of our own, since an allocator for the whole process is the program's choice, not a library's.
/// Taken by [`pool`] only.
static POOL: Mutex<Pool> = Mutex::new(Pool { free: Vec::new(), bytes: 0 });

struct Pool {
    /// In order of size.
    free: Vec<Block>,
    bytes: usize,
}

/// The pool, waiting for some microseconds at most: another thread needs it for less than one. But a
/// lock that another thread held at a `fork` stays locked in the child, which then simply allocates.
fn pool() -> Option<MutexGuard<'static, Pool>> {
    const TRIES: usize = 100;
    for _ in 0..TRIES {
        if let Ok(pool) = POOL.try_lock() {
            return Some(pool);
        }
        std::hint::spin_loop();
    }
    None
}

impl Pool {
    /// The number of blocks of at most so many bytes.
    fn before(&self, bytes: usize) -> usize {
        self.free.partition_point(|block| block.layout.size() <= bytes)
    }
}

/// Memory at a multiple of `ALIGN`; that of a buffer is initialised.
struct Block {
    at: NonNull<u8>,
    layout: Layout,
}

// SAFETY: a block owns its memory; nothing else points into it.
unsafe impl Send for Block {}

impl Block {
    fn zeroed(bytes: usize) -> Result<Self> {
        let block = Self::untouched(bytes)?;
        // SAFETY: the memory was just allocated, with this size.
        unsafe { block.at.write_bytes(0, bytes) };
        Ok(block)
    }

    /// Memory that nothing has been written to: not to be read.
    fn untouched(bytes: usize) -> Result<Self> {
        let align = if bytes < HUGE_PAGE { ALIGN } else { HUGE_PAGE };
        let layout = Layout::from_size_align(bytes, align).map_err(|_| Error::Memory(bytes))?;
        // SAFETY: `bytes` is not zero, see `Buffer::unfilled` and `check_available`.
        let at = NonNull::new(unsafe { alloc(layout) }).ok_or(Error::Memory(bytes))?;
        if bytes >= HUGE_PAGE {
            ask_for_huge_pages(at, bytes);
        }
        Ok(Self { at, layout })
    }
}

/// Asks for large pages, before the memory is first touched; a refusal changes nothing but speed.
#[cfg(all(target_os = "linux", not(miri)))]
fn ask_for_huge_pages(at: NonNull<u8>, bytes: usize) {
    // SAFETY: the range is part of one allocation, page-aligned at its start; the advice does not
    // change what the memory holds.
    unsafe {
        let length = bytes / HUGE_PAGE * HUGE_PAGE;
        libc::madvise(at.as_ptr().cast(), length, libc::MADV_HUGEPAGE)
    };
}

#[cfg(not(all(target_os = "linux", not(miri))))]
fn ask_for_huge_pages(_at: NonNull<u8>, _bytes: usize) {}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: allocated in `untouched` with this layout.
        unsafe { dealloc(self.at.as_ptr(), self.layout) };
    }
}

/// Returns all pooled memory to the system.
pub fn clear_buffers() {
    if let Some(mut pool) = pool() {
        pool.free.clear();
        pool.bytes = 0;
    }
}

/// Fails if the system refuses so much memory at once. Systems that grant memory before it exists
/// grant many small pieces until they run out and kill the process; one large request they refuse.
///
/// # Errors
/// If the memory cannot be had.
pub fn check_available(bytes: usize) -> Result<()> {
    const SMALL: usize = 1 << 28;
    if bytes < SMALL {
        return Ok(());
    }
    // Hidden from the compiler, which may leave out a request that it sees given back unused.
    Block::untouched(bytes).map(|block| drop(std::hint::black_box(block)))
}

/// An aligned array whose memory comes from the pool and goes back to it.
pub struct Buffer<T: Element> {
    block: Option<Block>,
    len: usize,
    elements: PhantomData<T>,
}

// SAFETY: a buffer owns its elements, which are `Send` and `Sync`.
unsafe impl<T: Element> Send for Buffer<T> {}
// SAFETY: as above; shared access only reads.
unsafe impl<T: Element> Sync for Buffer<T> {}

impl<T: Element> Buffer<T> {
    /// `len` elements of unspecified value.
    ///
    /// # Errors
    /// If the memory cannot be had.
    pub fn unfilled(len: usize) -> Result<Self> {
        let bytes = len.checked_mul(size_of::<T>()).ok_or(Error::Memory(usize::MAX))?;
        let bytes = bytes.checked_next_multiple_of(ALIGN).ok_or(Error::Memory(usize::MAX))?;
        if bytes == 0 {
            return Ok(Self::default());
        }
        let pooled = pool().and_then(|mut pool| {
            // The smallest that is large enough and not wasteful; the last one of its size, which is
            // the one that came back last.
            let smallest = pool.before(bytes - 1);
            let size = pool.free.get(smallest)?.layout.size();
            if size > bytes + bytes / 4 {
                return None;
            }
            let last = pool.before(size) - 1;
            pool.bytes -= size;
            Some(pool.free.remove(last))
        });
        let block = pooled.map_or_else(|| Block::zeroed(bytes), Ok)?;
        Ok(Self { block: Some(block), len, elements: PhantomData })
    }

    /// `len` zeros.
    ///
    /// # Errors
    /// If the memory cannot be had.
    pub fn zeroed(len: usize) -> Result<Self> {
        let mut buffer = Self::unfilled(len)?;
        buffer.fill(T::ZERO);
        Ok(buffer)
    }
}

impl<T: Element> Default for Buffer<T> {
    /// No elements, no memory.
    fn default() -> Self {
        Self { block: None, len: 0, elements: PhantomData }
    }
}

impl<T: Element> Drop for Buffer<T> {
    fn drop(&mut self) {
        let Some(block) = self.block.take() else { return };
        let Some(mut pool) = pool() else { return };
        let bytes = block.layout.size();
        if pool.bytes + bytes <= POOL_BYTES && pool.free.len() < POOL_BUFFERS {
            pool.bytes += bytes;
            let at = pool.before(bytes);
            pool.free.insert(at, block);
        }
    }
}

impl<T: Element> Deref for Buffer<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        let Some(block) = &self.block else { return &[] };
        // SAFETY: the block has at least `len` elements, aligned and initialised; any bits are a
        // valid `T`, which is `f32` or `f64` (`Element` is sealed).
        unsafe { std::slice::from_raw_parts(block.at.as_ptr().cast(), self.len) }
    }
}

impl<T: Element> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        let Some(block) = &self.block else { return &mut [] };
        // SAFETY: as for `deref`, and the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(block.at.as_ptr().cast(), self.len) }
    }
}

/// Number of elements of `shape`, if they can be addressed.
fn elements(shape: [usize; 3]) -> Option<usize> {
    shape.iter().try_fold(1_usize, |product, &n| product.checked_mul(n))
}

/// Where an array of other memory lies and how: equal if, and while both live only if, it is the
/// same array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArrayId {
    at: usize,
    shape: [usize; 3],
    strides: [isize; 2],
}

/// An array `[batch, time, features]` to read: any stride of batch and time, features contiguous.
#[derive(Clone, Copy, Debug)]
pub struct View<'a, T> {
    at: *const T,
    shape: [usize; 3],
    strides: [isize; 2],
    array: PhantomData<&'a [T]>,
}

// SAFETY: a view only reads elements that are borrowed for its lifetime.
unsafe impl<T: Sync> Send for View<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for View<'_, T> {}

impl<'a, T> View<'a, T> {
    /// A C-contiguous array.
    ///
    /// # Errors
    /// If `array` does not have the elements of `shape`.
    pub fn contiguous(array: &'a [T], shape: [usize; 3]) -> Result<Self> {
        if elements(shape) != Some(array.len()) {
            return Err(Error::shape("array", shape, [array.len()]));
        }
        let strides = [(shape[1] * shape[2]).cast_signed(), shape[2].cast_signed()];
        Ok(Self { at: array.as_ptr(), shape, strides, array: PhantomData })
    }

    /// A strided array; strides count elements.
    ///
    /// # Safety
    /// For the lifetime `'a`, every element that `shape` and `strides` reach from `at` is valid to
    /// read, aligned, and written by nobody.
    pub unsafe fn from_raw(at: *const T, shape: [usize; 3], strides: [isize; 2]) -> Self {
        Self { at, shape, strides, array: PhantomData }
    }

    /// Batch, time and features.
    #[must_use]
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Where the elements are.
    #[must_use]
    pub fn id(&self) -> ArrayId {
        ArrayId { at: self.at.addr(), shape: self.shape, strides: self.strides }
    }

    /// All steps of one row, where they lie one after the other.
    ///
    /// # Panics
    /// If the row is outside the view.
    #[must_use]
    pub fn whole_row(&self, row: usize) -> Option<&'a [T]> {
        assert!(row < self.shape[0], "outside the view");
        let [_, time, features] = self.shape;
        if time > 1 && self.strides[1] != features.cast_signed() {
            return None;
        }
        let offset = row.cast_signed() * self.strides[0];
        // SAFETY: the row is inside the shape, for which the constructor's caller vouched, and so are
        // its steps, between which there is nothing else.
        Some(unsafe { std::slice::from_raw_parts(self.at.offset(offset), time * features) })
    }

    /// The features of one row at one step.
    ///
    /// # Panics
    /// If the row or the step is outside the view.
    #[must_use]
    pub fn row(&self, row: usize, step: usize) -> &'a [T] {
        assert!(row < self.shape[0] && step < self.shape[1], "outside the view");
        let offset = row.cast_signed() * self.strides[0] + step.cast_signed() * self.strides[1];
        // SAFETY: both indices are inside the shape, for which the constructor's caller vouched.
        unsafe { std::slice::from_raw_parts(self.at.offset(offset), self.shape[2]) }
    }
}

/// An array `[batch, time, features]` to write: any stride of batch and time, features contiguous.
#[derive(Debug)]
pub struct ViewMut<'a, T> {
    at: *mut T,
    shape: [usize; 3],
    strides: [isize; 2],
    /// Which rows of the array the view's rows are, from `first` on; the first ones if there is none.
    order: Option<Arc<Vec<u32>>>,
    first: usize,
    array: PhantomData<&'a mut [T]>,
}

// SAFETY: a view has its elements to itself, see `split` and `split_features`.
unsafe impl<T: Send> Send for ViewMut<'_, T> {}

impl<'a, T> ViewMut<'a, T> {
    /// A C-contiguous array.
    ///
    /// # Errors
    /// If `array` does not have the elements of `shape`.
    pub fn contiguous(array: &'a mut [T], shape: [usize; 3]) -> Result<Self> {
        if elements(shape) != Some(array.len()) {
            return Err(Error::shape("array", shape, [array.len()]));
        }
        let strides = [(shape[1] * shape[2]).cast_signed(), shape[2].cast_signed()];
        let at = array.as_mut_ptr();
        Ok(Self { at, shape, strides, order: None, first: 0, array: PhantomData })
    }

    /// Batch, time and features.
    #[must_use]
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The same array with its rows in another order: row `n` is what row `order[n]` was.
    ///
    /// # Errors
    /// If the memory to check that cannot be had.
    ///
    /// # Panics
    /// If `order` is not a permutation of the rows, or the view's rows are in another order already.
    pub fn ordered(self, order: &Arc<Vec<u32>>) -> Result<Self> {
        assert!(self.order.is_none() && order.len() == self.shape[0], "an order of other rows");
        let mut seen = lists::filled(false, order.len())?;
        for &row in order.iter() {
            assert!(!std::mem::replace(&mut seen[row as usize], true), "a row twice");
        }
        Ok(Self { order: Some(order.clone()), ..self })
    }

    /// The features of one row at one step.
    ///
    /// # Panics
    /// If the row or the step is outside the view.
    #[must_use]
    #[inline]
    pub fn row(&mut self, row: usize, step: usize) -> &mut [T] {
        assert!(row < self.shape[0] && step < self.shape[1], "outside the view");
        let row = match &self.order {
            Some(order) => order[self.first + row] as usize,
            None => row,
        };
        let offset = row.cast_signed() * self.strides[0] + step.cast_signed() * self.strides[1];
        // SAFETY: both indices are inside the shape, whose elements this view has to itself.
        unsafe { std::slice::from_raw_parts_mut(self.at.offset(offset), self.shape[2]) }
    }

    /// One view for each range of rows, for different threads.
    ///
    /// # Errors
    /// If the memory for the list cannot be had.
    ///
    /// # Panics
    /// Unless the ranges follow each other and lie inside the batch.
    pub fn split(self, rows: impl Iterator<Item = Range<usize>>) -> Result<Vec<Self>> {
        let mut end = 0;
        let part = |range: Range<usize>| {
            assert!(end <= range.start && range.start <= range.end, "ranges overlap");
            assert!(range.end <= self.shape[0], "outside the view");
            end = range.end;
            let shape = [range.len(), self.shape[1], self.shape[2]];
            let order = self.order.clone();
            let (at, first) = match order {
                Some(_) => (self.at, self.first + range.start),
                None => (self.at.wrapping_offset(range.start.cast_signed() * self.strides[0]), 0),
            };
            Self { at, shape, strides: self.strides, order, first, array: PhantomData }
        };
        rows.map(part).listed()
    }

    /// One view for each range of features, for different threads.
    ///
    /// # Errors
    /// If the memory for the list cannot be had.
    ///
    /// # Panics
    /// Unless the ranges follow each other and lie inside the features.
    pub fn split_features(self, features: impl Iterator<Item = Range<usize>>) -> Result<Vec<Self>> {
        let mut end = 0;
        let part = |range: Range<usize>| {
            assert!(end <= range.start && range.start <= range.end, "ranges overlap");
            assert!(range.end <= self.shape[2], "outside the view");
            end = range.end;
            let shape = [self.shape[0], self.shape[1], range.len()];
            let at = self.at.wrapping_add(range.start);
            let (order, first) = (self.order.clone(), self.first);
            Self { at, shape, strides: self.strides, order, first, array: PhantomData }
        };
        features.map(part).listed()
    }
}
