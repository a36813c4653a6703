//! Layers: what a call of each computes, forward and backward, and streams of them.

pub mod attention;
pub mod convolution;
pub mod dense;
pub mod embedding;
pub mod normalization;
pub mod products;
pub mod sequence;
pub mod stream;
