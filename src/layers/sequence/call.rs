//! What a call returns, and what a backward call starts from.

use crate::machine::memory::{View, ViewMut};

/// Where a call's results go.
pub struct Results<'a, T> {
    /// The outputs, of [`super::Problem::output_shape`].
    pub outputs: ViewMut<'a, T>,
    /// The final states, `[batch, 1, size]` each; none if they are not wanted.
    pub state: Vec<ViewMut<'a, T>>,
}

/// What backward starts from.
pub struct Seeds<'a, T> {
    /// The outputs that forward returned.
    pub outputs: View<'a, T>,
    /// The gradient of the loss with respect to them; zero if there is none.
    pub d_outputs: Option<View<'a, T>>,
    /// The gradients with respect to the final states, `[batch, 1, size]` each; zero where there is
    /// none.
    pub d_state: Vec<Option<View<'a, T>>>,
}

/// Where backward's results go.
pub struct Gradients<'a, T> {
    /// With respect to the inputs, if wanted.
    pub inputs: Option<ViewMut<'a, T>>,
    /// With respect to the initial states, `[batch, 1, size]` each.
    pub state: Vec<ViewMut<'a, T>>,
    /// With respect to the kernel, in Keras' layout.
    pub kernel: &'a mut [T],
    /// With respect to the recurrent kernel.
    pub recurrent_kernel: &'a mut [T],
    /// With respect to the weights of each unit alone.
    pub vectors: &'a mut [T],
    /// With respect to the bias, if the cell has one.
    pub bias: Option<&'a mut [T]>,
    /// With respect to the projection, if there is one.
    pub projection: Option<&'a mut [T]>,
}
