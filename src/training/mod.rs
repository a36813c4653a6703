//! What training wants beside the layers: updates of weights, losses, dropout masks.

pub mod classes;
pub mod dropout;
pub mod loss;
pub mod optimizer;
