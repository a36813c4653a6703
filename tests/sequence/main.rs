//! Whole calls of layers. One program, so that the engine is compiled for it once: a program of tests
//! compiles what it uses of the engine's generic code.

#[path = "../common/mod.rs"]
mod common;

mod bits;
mod cells;
mod convolution;
mod dense;
mod embedding;
mod errors;
mod foreign_residuals;
mod int8;
mod layouts;
mod model_attention;
mod model_layers;
mod models;
mod plan;
mod residuals;
mod small_caches;
mod stream;
mod stream_memory;
mod stream_parts;
