//! Cells that users wrote, as small programs over registers: the engine runs them over time, forward and
//! backward.
//!
//! A [`Program`] is a list of instructions for each part of a call ([`Section`]), checked when it is made.
//! A [`Run`] has the registers' memory for one call. Nothing here knows a cell.
//!
//! A batch is cut into parts of neighbouring rows, one for each thread, and no result depends on where:
//! what a row computes depends on no other row, and sums over rows, the gradients of weights, are added up
//! in an order of their own: see [`Run::backward`].

mod backward;
mod elementwise;
mod forward;
mod instruction;
mod part;
mod problem;
mod product;
mod program;
mod reduce;
mod rows;
mod run;
mod sums;
mod work;

pub use backward::{Gradients, Seeds};
pub use elementwise::Op;
pub use instruction::{Home, Instruction, Operand, Register};
pub use problem::{Options, Problem, Results};
pub use program::{Ends, Program, SECTIONS, Section, State};
pub use reduce::Join;
pub use run::Run;
