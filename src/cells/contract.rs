//! What a cell is to the rest of the engine.

use std::ops::Range;

use crate::kernels::activation::Activations;
use crate::kernels::long_product;
use crate::machine::simd::{Element, Simd};

/// One cell's equations, lane by lane; `sequence` owns products, time, masks and memory.
///
/// A row and block of units has `slots` vectors. Before a phase's `forward`, those of the phase
/// hold sums of products; afterwards all that backward needs. `backward` turns them into the
/// gradients with respect to the sums, in place. The input's product goes to the slots `INPUT`, the
/// product with the previous output to those of each of `PHASES` in turn. A cell without a
/// recurrent product (`(0, 0)`) sees the previous output through its dropout mask, as the product
/// would.
pub trait Cell<T: Element>: Send + Sync {
    /// What `sequence` must know of the cell.
    const LAYOUT: Layout;

    /// One phase of a step. Gives the next output in the last phase, and in an earlier one what the
    /// next phase multiplies by its recurrent weights. `state` holds the states but the output,
    /// `vectors` the weights of each unit alone.
    fn forward<S: Simd<T>, A: Activations<T>>(
        s: S,
        a: A,
        phase: usize,
        slots: &mut [S::V],
        output: S::V,
        state: &mut [S::V],
        vectors: &[S::V],
    ) -> S::V;

    /// One phase of a step backward, last phase first. `output` and `state` are the previous
    /// step's; `d_output` is the gradient with respect to the next output, or what an earlier call
    /// returned; `d_operand` that with respect to what `forward` returned in this phase, if it was
    /// not the last. Gives the gradient with respect to the previous output except through this
    /// phase's product.
    fn backward<S: Simd<T>, A: Activations<T>>(
        s: S,
        a: A,
        phase: usize,
        slots: &mut [S::V],
        vectors: &[S::V],
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
    /// With respect to the output.
    pub output: V,
    /// With respect to the other states: the next ones' on entry, the previous ones' on return of
    /// the last phase.
    pub state: &'a mut [V],
    /// With respect to what this phase's `forward` returned, where that was not the output.
    pub operand: V,
    /// With respect to the vectors: the sums over the steps of the row so far, to be added to.
    pub vectors: &'a mut [V],
}

/// How a cell's vectors lie: what does not depend on the element type.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Blocks of `units` columns in the kernel.
    pub gates: usize,
    /// States besides the output.
    pub states: usize,
    /// The gate whose columns each slot sums, or [`KEPT`]; as many as a row and block has vectors.
    pub slots: &'static [usize],
    /// How many vectors `[units]` of weights there are that belong to each unit alone and enter no
    /// product.
    pub vectors: usize,
    /// The slots of the input's product.
    pub input: (usize, usize),
    /// The slots of each phase's recurrent product; `(0, 0)` in the only phase of a cell without one.
    pub phases: &'static [(usize, usize)],
    /// Whether the recurrent product has a bias of its own.
    pub recurrent_bias: bool,
    /// Whether `backward` reads the previous output.
    pub reads_output: bool,
}

/// The most slots a cell has.
pub const MAX_SLOTS: usize = 4;
/// The most states a cell has besides its output.
pub const MAX_STATES: usize = 1;
/// The most vectors of weights of each unit that a cell has.
pub const MAX_VECTORS: usize = 3;
/// In place of a slot's gate: no product sums there; it keeps something for backward.
pub const KEPT: usize = usize::MAX;

impl Layout {
    /// The slots of a phase's recurrent product, `(0, 0)` if there is no such phase.
    #[must_use]
    pub const fn phase(&self, phase: usize) -> (usize, usize) {
        if phase < self.phases.len() { self.phases[phase] } else { (0, 0) }
    }

    /// Blocks of `units` columns in the recurrent kernel: as many as in the kernel, or none.
    #[must_use]
    pub const fn recurrent(&self) -> usize {
        self.phase(0).1 + self.phase(1).1
    }

    /// Blocks of `units` numbers in the bias.
    #[must_use]
    pub const fn bias(&self) -> usize {
        self.gates * if self.recurrent_bias { 2 } else { 1 }
    }

    /// Whether the output may be projected: only if the cell has one phase and sees the previous
    /// output through its product alone.
    #[must_use]
    pub const fn may_project(&self) -> bool {
        self.phases.len() == 1 && self.recurrent() > 0 && !self.reads_output
    }

    /// The layout, if the kernels can run it: a cell that they cannot run is not compiled.
    ///
    /// # Panics
    /// When a phase has no [`Shape`], or there are too many states, slots or phases.
    #[must_use]
    pub const fn checked(self) -> Self {
        assert!(self.states <= MAX_STATES, "a cell with more states than the kernels carry");
        assert!(self.slots.len() <= MAX_SLOTS, "a cell with more slots than the kernels have");
        assert!(self.vectors <= MAX_VECTORS, "a cell with more vectors than the kernels have");
        assert!(self.input.0 == 0, "the input's product goes to the first slots");
        assert!(matches!(self.phases.len(), 1 | 2), "a step has one phase or two");
        let whole = self.recurrent() == self.gates || self.recurrent() == 0 && self.gates == 1;
        assert!(whole, "recurrent products of all gates, or a single gate without one");
        let width = self.slots.len();
        // Gates with dropout masks of their own are multiplied one by one.
        let sums = long_product::is_compiled(width, 1)
            && long_product::is_compiled(width, self.input.1)
            && (self.recurrent() == 0 || long_product::is_compiled(width, self.phase(0).1))
            && (self.phases.len() == 1 || long_product::is_compiled(width, self.phase(1).1));
        assert!(sums, "a product that is not among the `shapes!` of kernels/long_product.rs");
        let _ = Shape::of(&self, 0);
        let _ = Shape::of(&self, 1);
        self
    }
}

/// Which of a cell's slots a phase's recurrent product goes to, and whether the input's product goes
/// before it: the cases that kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// All of four, all of which have an input.
    AllFour,
    /// The last three of four, the first three of which have an input.
    LastThreeOfFour,
    /// All of three, all of which have an input.
    AllThree,
    /// The first two of three, all of which have an input.
    FirstTwoOfThree,
    /// The first of three, the first two of which have an input.
    FirstOfThree,
    /// The second of three, in the second phase.
    SecondOfThree,
    /// The last of three, in the second phase.
    LastOfThree,
    /// The only one, which has an input.
    One,
    /// None of one, which has an input.
    NoneOfOne,
    /// The cell has no such phase.
    None,
}

impl Shape {
    /// The shape of a phase.
    ///
    /// # Panics
    /// If there are no kernels for it; when it is compiled, for the cells of the list.
    #[must_use]
    pub const fn of(layout: &Layout, phase: usize) -> Self {
        if phase >= layout.phases.len() {
            return Self::None;
        }
        let inputs = if phase == 0 { layout.input.1 } else { 0 };
        match (layout.slots.len(), inputs, layout.phases[phase]) {
            (4, 4, (0, 4)) => Self::AllFour,
            (4, 3, (1, 3)) => Self::LastThreeOfFour,
            (3, 3, (0, 3)) => Self::AllThree,
            (3, 3, (0, 2)) => Self::FirstTwoOfThree,
            (3, 2, (0, 1)) => Self::FirstOfThree,
            (3, 0, (1, 1)) => Self::SecondOfThree,
            (3, 0, (2, 1)) => Self::LastOfThree,
            (1, 1, (0, 1)) => Self::One,
            (1, 1, (0, 0)) => Self::NoneOfOne,
            _ => panic!("a phase that is not among the `Shape`s"),
        }
    }
}

/// Runs the arm of a phase's [`Shape`]. Every shape has its arm, and only the one that is run is
/// compiled for a cell: the compiler drops a branch on a constant before it compiles it, but not the
/// arms of a match on one.
macro_rules! with_shape {
    ($C:ty, $T:ty, $PHASE:expr; $($shape:ident $(| $other:ident)* => $body:expr,)*) => {
        match const { Shape::of(&<$C as Cell<$T>>::LAYOUT, $PHASE) } {
            $(Shape::$shape $(| Shape::$other)* => if const {
                matches!(
                    Shape::of(&<$C as Cell<$T>>::LAYOUT, $PHASE),
                    Shape::$shape $(| Shape::$other)*
                )
            } {
                $body
            },)*
        }
    };
}
pub(crate) use with_shape;

/// A range from (start, length).
#[must_use]
pub fn range((start, length): (usize, usize)) -> Range<usize> {
    start..start + length
}
