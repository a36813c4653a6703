//! Whole sequences: packed weights, time, masks, direction, partition and scratch memory.
//!
//! A batch is cut into slices of rows; a slice runs all its steps on its own. Steps go in chunks.
//! Within a chunk only the rows that really take a step count: they are numbered one after the other
//! (step by step, row by row), and the vectors of a block of units lie together in that order,
//! `[block][row of the chunk][slot][LANES]`. So the input's product of a chunk is one long product,
//! a step's rows are neighbours, and a finished chunk is already the packed right side of the
//! products that give the weights' gradients.

mod backward;
mod forward;
mod gradient;
mod plan;
mod problem;
mod residuals;
mod step;
mod weights;

pub use backward::{Gradients, Seeds, backward};
pub use forward::{Results, forward};
pub use problem::{Dropout, Problem};
pub use residuals::Residuals;
pub use weights::{Options, Raw, Weights};
