//! Memory: aligned buffers that are pooled, and strided views of the caller's arrays.

mod views;

use std::alloc::{Layout, alloc, dealloc};
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard};

use crate::error::{Error, Result};
use crate::machine::simd::Element;
pub use views::{ArrayId, View, ViewMut};

/// Alignment of every buffer: a cache line, and the widest vector.
const ALIGN: usize = 64;
/// The most that the pool keeps, in bytes and in buffers: a batch of thousands of rows takes a
/// dozen buffers for each slice.
const POOL_BYTES: usize = 1 << 29;
const POOL_BUFFERS: usize = 1 << 12;

/// From this size on, a block is asked to lie in pages of this size: weights of many megabytes,
/// read once a step, are read up to 1.5 times as fast if their addresses fit into the CPU's tables.
const HUGE_PAGE: usize = 1 << 21;

/// Returned buffers. Fresh pages are expensive (a page fault for each 4 KiB), so training reuses
/// them. A pool of our own, since an allocator for the whole process is the program's choice, not a
/// library's. Locked by [`pool`] only.
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
        let allocated = || NonNull::new(unsafe { alloc(layout) });
        // What the pool keeps may be what is missing.
        let again = || {
            clear_buffers();
            allocated()
        };
        let at = allocated().or_else(again).ok_or(Error::Memory(bytes))?;
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
/// grant many small pieces until they run out and kill the process; one large request is refused.
///
/// # Errors
/// If memory runs out.
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
    /// If memory runs out.
    pub fn unfilled(len: usize) -> Result<Self> {
        let bytes = len.checked_mul(size_of::<T>()).ok_or(Error::Memory(usize::MAX))?;
        let bytes = bytes.checked_next_multiple_of(ALIGN).ok_or(Error::Memory(usize::MAX))?;
        if bytes == 0 {
            return Ok(Self::default());
        }
        let pooled = pool().and_then(|mut pool| {
            // The smallest that is large enough and not wasteful; among several of that size the
            // last one, which was returned last.
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
    /// If memory runs out.
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
