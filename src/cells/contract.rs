//! What a cell is to the rest of the engine.

use std::ops::Range;

use crate::kernels::activation::Activations;
use crate::machine::simd::{Element, Simd};

/// One cell's equations, lane by lane; `sequence` owns products, time, masks and memory.
///
/// A row and block of units has `slots` vectors. Before a phase's `forward`, those of the phase hold
/// sums of products; afterwards all that backward wants. `backward` turns them into the gradients
/// by the sums, in place. The input's product goes to the slots `INPUT`, the product with the
/// previous output to those of each of `PHASES` in turn.
pub trait Cell<T: Element>: Send + Sync {
    /// What `sequence` must know of the cell.
    const LAYOUT: Layout;

    /// One phase of a step. Gives the next output in the last phase, and in an earlier one what the
    /// next phase multiplies by its recurrent weights. `state` holds the states but the output.
    fn forward<S: Simd<T>, A: Activations<T>>(
        s: S,
        a: A,
        phase: usize,
        slots: &mut [S::V],
        output: S::V,
        state: &mut [S::V],
    ) -> S::V;

    /// One phase of a step backward, last phase first. `output` and `state` are the previous
    /// step's; `d_output` is the gradient by the next output, or what an earlier call gave;
    /// `d_operand` that by what `forward` gave in this phase, if it was not the last. Gives the
    /// gradient by the previous output except through this phase's product.
    fn backward<S: Simd<T>, A: Activations<T>>(
        s: S,
        a: A,
        phase: usize,
        slots: &mut [S::V],
        previous: Previous<'_, S::V>,
        gradient: Gradient<'_, S::V>,
    ) -> S::V;
}

/// The states before a step.
#[derive(Clone, Copy)]
pub struct Previous<'a, V> {
    /// The output.
    pub output: V,
    /// The other states.
    pub state: &'a [V],
}

/// Gradients on their way back through a step.
pub struct Gradient<'a, V> {
    /// By the output.
    pub output: V,
    /// By the other states: the next ones' on entry, the previous ones' on return of the last phase.
    pub state: &'a mut [V],
    /// By what this phase's `forward` gave, where that was not the output.
    pub operand: V,
}

/// How a cell's vectors lie: what does not depend on the element type.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Blocks of `units` columns in the kernel.
    pub gates: usize,
    /// States besides the output.
    pub states: usize,
    /// The gate whose columns each slot sums; as many slots as a row and block has vectors.
    pub slots: &'static [usize],
    /// The slots of the input's product.
    pub input: (usize, usize),
    /// The slots of each phase's recurrent product.
    pub phases: &'static [(usize, usize)],
    /// Whether the recurrent product has a bias of its own.
    pub recurrent_bias: bool,
    /// Whether `backward` reads the previous output.
    pub reads_output: bool,
}

/// A range from (start, length).
#[must_use]
pub fn range((start, length): (usize, usize)) -> Range<usize> {
    start..start + length
}
