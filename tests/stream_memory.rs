//! A step takes no memory and gives none back: counted by an allocator of the test's own.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use common::{Arrays, Case, weights};
use ferrnn::cells::CellKind;
use ferrnn::kernels::activation::Activation;
use ferrnn::kernels::row_function::RowFunction;
use ferrnn::layers::dense;
use ferrnn::layers::embedding;
use ferrnn::layers::normalization;
use ferrnn::layers::sequence::Engine;
use ferrnn::layers::stream::{Part, Stream};
use ferrnn::machine::memory::{View, ViewMut};

thread_local! {
    static CALLS: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator; counts the calls of each thread.
struct Counting;

// SAFETY: every call is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.set(CALLS.get() + 1);
        // SAFETY: the caller's promise is handed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        CALLS.set(CALLS.get() + 1);
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn parts<T: Engine>(cell: CellKind, activation: Activation) -> Vec<Part<T>> {
    let mut case = Case::new(cell, [1, 1, 6, 41]);
    case.activation = activation;
    let arrays = Arrays::random(&case, 1).cast::<T>();
    let normalization = normalization::Weights::new(None, 41, 1e-3, None, None).unwrap();
    let kernel = vec![T::of(0.1); 41 * 5];
    let head = dense::Weights::new(None, Activation::Tanh, [41, 5], &kernel, None).unwrap();
    vec![
        Part::Recurrent(Arc::new(weights(&case, &arrays))),
        Part::Normalization(Arc::new(normalization)),
        Part::Dense(Arc::new(head)),
        Part::Function(RowFunction::Softmax),
    ]
}

fn check<T: Engine>(cell: CellKind, activation: Activation, streams: usize) {
    let mut parts = parts::<T>(cell, activation);
    let mut stream = Stream::new(None, &parts, 6, streams).unwrap();
    let inputs = vec![T::of(0.5); 6 * streams];
    let mut outputs = vec![T::of(0.0); 5 * streams];
    let inputs = View::contiguous(&inputs, [streams, 1, 6]).unwrap();
    let mut outputs = ViewMut::contiguous(&mut outputs, [streams, 1, 5]).unwrap();
    let before = CALLS.get();
    for _ in 0..3 {
        stream.step(inputs, &mut outputs).unwrap();
    }
    let after = CALLS.get();
    assert_eq!(after - before, 0, "{cell:?}, {activation:?}, {streams} streams");

    let rows = vec![T::of(0.1); 4 * 6];
    let embedding = embedding::Weights::new([4, 6], &rows, true).unwrap();
    parts.insert(0, Part::Embedding(Arc::new(embedding)));
    let mut stream = Stream::new(None, &parts, 1, streams).unwrap();
    let mut ids: Vec<_> = (0..4).cycle().take(streams).collect();
    let before = CALLS.get();
    for _ in 0..3 {
        ids[0] = (ids[0] + 1) % 4;
        stream.step_ids(&ids, &mut outputs).unwrap();
    }
    let after = CALLS.get();
    assert_eq!(after - before, 0, "ids, {cell:?}, {activation:?}, {streams} streams");
}

#[test]
fn a_step_allocates_nothing() {
    for &cell in CellKind::ALL {
        for activation in [Activation::Tanh, Activation::Gelu] {
            for streams in [1, 9] {
                check::<f32>(cell, activation, streams);
                check::<f64>(cell, activation, streams);
            }
        }
    }
}

#[test]
fn the_allocator_counts() {
    let before = CALLS.get();
    drop(std::hint::black_box(Box::new(1)));
    assert_eq!(CALLS.get() - before, 2);
}
