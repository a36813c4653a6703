//! What a call of a program reads and writes.

use crate::error::{Result, expect_shape};
use crate::machine::memory::{View, ViewMut};

/// How steps are taken.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// From the last step to the first.
    pub go_backwards: bool,
    /// Whether the outputs of all steps are wanted, not just the last.
    pub return_sequences: bool,
    /// Whether outputs at masked steps are zero.
    pub zero_output: bool,
}

/// What a call reads besides weights: `[batch, time, size]`, and states `[batch, 1, size]`.
pub struct Problem<'a, T> {
    /// Sequences.
    pub inputs: Vec<View<'a, T>>,
    /// Where the states start; none of them: from zero.
    pub states: Vec<View<'a, T>>,
    /// Which steps are real, `[batch, time]`.
    pub mask: Option<&'a [bool]>,
    /// How steps are taken.
    pub options: Options,
}

/// What a call writes.
pub struct Results<'a, T> {
    /// `[batch, time or 1, size]`.
    pub outputs: ViewMut<'a, T>,
    /// `[batch, 1, size]` each, or none of them.
    pub states: Vec<ViewMut<'a, T>>,
}

impl<T> Problem<'_, T> {
    /// The step of the arrays that is taken as number `n`.
    pub(super) fn step(&self, n: usize, time: usize) -> usize {
        if self.options.go_backwards { time - 1 - n } else { n }
    }

    /// Whether a row has a real step.
    pub(super) fn is_real(&self, row: usize, step: usize, time: usize) -> bool {
        self.mask.is_none_or(|mask| mask[row * time + step])
    }
}

/// A part's rows of some arrays, in their order: none of those that are not wanted.
pub(super) type Views<'a, T> = [Option<ViewMut<'a, T>>];

/// Fails unless arrays have the shapes that they must have: pairs of these and theirs.
pub(super) fn expect(
    argument: &'static str,
    shapes: &mut dyn Iterator<Item = ([usize; 3], [usize; 3])>,
) -> Result<()> {
    for (expected, received) in shapes {
        expect_shape(argument, expected, received)?;
    }
    Ok(())
}
