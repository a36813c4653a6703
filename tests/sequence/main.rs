//! Whole calls of layers. One program, so that the engine is compiled for it once: a program of tests
//! compiles what it uses of the engine's generic code. Tests that want a process of their own are
//! programs of their own, beside this one.

#[path = "../common/mod.rs"]
mod common;

mod cells;
mod embedding;
mod foreign_residuals;
mod layouts;
mod residuals;
mod stream;
mod stream_parts;
