//! A step neither allocates nor frees memory: counted by the test's own allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use crate::common::{Arrays, Case, weights};
use ferrnn::cells::CellKind;
use ferrnn::kernels::activation::Activation;
use ferrnn::kernels::row_function::RowFunction;
use ferrnn::layers::dense;
use ferrnn::layers::embedding;
use ferrnn::layers::normalization;
use ferrnn::layers::sequence::Engine;
use ferrnn::layers::stream::{
    ConvLstm, Elementwise, Fold, Folding, Operation, Part, Products, Select, Stream, Window,
};
use ferrnn::machine::memory::{View, ViewMut};

thread_local! {
    static CALLS: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator; counts the calls of each thread.
struct Counting;

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.set(CALLS.get() + 1);
        // SAFETY: the caller's guarantees are passed on.
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
    let normalization = normalization::Weights::new(None, 41, (1e-3, true), None, None).unwrap();
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
fn a_step_with_windows_allocates_nothing() {
    let packed = |features, units| {
        let kernel = vec![0.1_f32; features * units];
        let made = dense::Weights::new(None, Activation::Tanh, [features, units], &kernel, None);
        Arc::new(made.unwrap())
    };
    let select = |width, from| Arc::new(Select::new(4, width, from, 0.0).unwrap());
    let parts = [
        Part::Window(Window { features: 6, taps: 2, dilation: 3, causal: false }),
        Part::Elementwise(Arc::new(Elementwise::new(Operation::Add, &[0.5; 12]).unwrap())),
        Part::Select(select(3, vec![3, 2, 1, 0])),
        Part::ConvLstm(ConvLstm {
            places: 4,
            kernel: packed(3, 20),
            recurrent_kernel: packed(10, 20),
            windows: select(5, vec![0, 1, 1, 2, 2, 3, 3, Select::NOWHERE]),
            activation: Activation::Tanh,
            recurrent_activation: Activation::Sigmoid,
        }),
        Part::Products(Products { places: 2, groups: vec![packed(5, 4), packed(5, 4)] }),
        Part::Folding(Arc::new(Folding::new(2, 2, 4, Fold::Max).unwrap())),
    ];
    for streams in [1, 3] {
        let mut stream = Stream::new(None, &parts, 6, streams).unwrap();
        let before = CALLS.get();
        for _ in 0..5 {
            stream.inputs(0).fill(0.5);
            stream.advance();
        }
        assert_eq!(CALLS.get() - before, 0, "{streams} streams");
        assert!(stream.outputs(0).iter().all(|y| y.is_finite()));
    }
}

#[test]
fn the_allocator_counts() {
    let before = CALLS.get();
    drop(std::hint::black_box(Box::new(1)));
    assert_eq!(CALLS.get() - before, 2);
}
