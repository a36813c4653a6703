//! Whole models: graphs of layers, trained step by step without calls to Python.
//!
//! A [`Graph`] holds what its layers need between two steps: packed weights, values, slopes and
//! gradients. The weights themselves are the caller's arrays, packed at the beginning of a step and
//! updated in place at its end. Results are as if the layers had been called one by one.

mod activation;
mod attention;
mod batch_normalization;
mod both_ways;
mod columns;
mod convolution;
mod dense;
mod dot;
mod dropout;
mod embedding;
mod folded;
mod graph;
mod join;
mod judge;
mod links;
mod masking;
mod node;
mod normalization;
mod pooling;
mod programmed;
mod rectified;
mod recurrent;
mod repeat;
mod reshape;
mod rows;
mod scores;
mod train;
mod update;
mod windows;

pub use activation::Activated;
pub use attention::{Attend, Attending, Fit};
pub use batch_normalization::{BatchNormalization, Following};
pub use both_ways::{BothWays, Merge};
pub use convolution::Convolution;
pub use dense::Dense;
pub use dot::Dot;
pub use dropout::{Drop, Dropout, Noise};
pub use embedding::Embedding;
pub use folded::Folded;
pub use graph::Graph;
pub use join::{Join, Joined};
pub use judge::{Data, Judge, Loss, Measured, Scored, Tally};
pub use links::{Ends, Linked};
pub use masking::Masking;
pub use node::{Draws, Masks, Node, Passed, Passing, Shape};
pub use normalization::Normalization;
pub use pooling::Pooling;
pub use programmed::{Over, Programmed, Weight};
pub use rectified::{LearntSlopes, Rectified};
pub use recurrent::{Recurrent, Setting};
pub use repeat::Repeat;
pub use reshape::Reshape;
pub use rows::{Cast, Samples};
pub use scores::{Of, Scores};
pub use train::{Span, gather, judge, predict, shapes_of, train};
pub use update::{Clip, Pace, Updates};
pub use windows::{Padding, Windows};
