//! Whole models: layers one after the other, trained step by step without a word from outside.
//!
//! A [`Chain`] holds what its layers need between two steps: packed weights, values, slopes and
//! gradients. The weights themselves are the caller's arrays, packed at the begin of a step and updated in
//! place at its end. Everything is as if the layers had been called one by one.

mod chain;
mod dense;
mod node;
mod recurrent;
mod rows;
mod train;
mod update;

pub use chain::Chain;
pub use dense::Dense;
pub use node::{Node, Passed, Shape};
pub use recurrent::{Recurrent, Setting};
pub use rows::{Cast, Rows};
pub use train::{Data, Span, Tally, gather, train};
pub use update::{Clip, Pace, Updates};
