//! One step of a slice's rows, for the cell at hand: products on register tiles, equations on their sums.

pub(crate) mod ahead;
pub(crate) mod backward;
mod finish;
pub(crate) mod forward;
pub(crate) mod single;
pub(crate) mod sweep;
