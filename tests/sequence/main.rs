//! Whole calls of layers. They are one program because each test program compiles the generic code
//! of the engine that it uses: this way that happens once.

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
mod model_training;
mod models;
mod plan;
mod residuals;
mod small_caches;
mod stream;
mod stream_memory;
mod stream_parts;
mod stream_threads;
