//! The machine: vectors, memory, caches, threads, and what they can do at best.

pub mod caches;
pub mod limits;
pub mod lists;
pub mod memory;
pub mod simd;
pub mod threads;
