//! Convolutions over the places of frames. The windows of a line are gathered where the first-level
//! cache keeps them, and read by the product where they overlap: one row in memory begins before the
//! one ahead of it has ended.

mod conv_lstm;
mod forward;
mod pooling;
mod windows;

pub use conv_lstm::{ConvLstmLayer, States, step};
pub(crate) use conv_lstm::{GATES, Gates};
pub use forward::forward;
pub use pooling::{max_pool, max_pool_backward};
pub use windows::{Axis, Frames};
