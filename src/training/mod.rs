//! What training needs besides the layers: updates of weights, losses, penalties, dropout masks.

pub mod classes;
pub mod dropout;
mod logits;
pub mod loss;
pub mod measure;
pub mod normal;
pub mod optimizer;
pub mod pairs;
pub mod penalty;
pub mod quantiles;
pub mod rows;
pub(crate) mod sums;
