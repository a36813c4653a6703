//! Recurrent networks on the CPU: LSTM, GRU and simple recurrent layers, forward and backward, in
//! `f32` and `f64`.
//!
//! A layer's weights are packed once for this machine ([`layers::sequence::Weights`]); a call reads
//! a [`layers::sequence::Problem`], arrays `[batch, time, features]` as the user has them, and
//! writes outputs in the same layout. [`layers::sequence::backward`] turns what forward kept
//! ([`layers::sequence::Residuals`]) and the gradients of the outputs into the gradients of
//! everything else.
//!
//! ```
//! use ferrnn::cells::CellKind;
//! use ferrnn::machine::memory::{View, ViewMut};
//! use ferrnn::layers::sequence::{Options, Problem, Raw, Results, Weights, forward};
//!
//! let [batch, time, features, units] = [2, 3, 1, 4];
//! let kernel: Vec<f64> = (0..4 * units).map(|n| 0.1 * n as f64).collect();
//! let recurrent_kernel: Vec<f64> = (0..4 * units * units).map(|n| (n as f64).sin()).collect();
//! let raw = Raw { kernel: &kernel, recurrent_kernel: &recurrent_kernel, vectors: &[], bias: None, projection: None };
//! let weights = Weights::new(CellKind::Lstm, Options::default(), features, units, raw)?;
//!
//! let inputs: Vec<f64> = (0..batch * time * features).map(|n| n as f64).collect();
//! let problem = Problem::new(&weights, View::contiguous(&inputs, [batch, time, features])?)?;
//! let mut outputs = vec![0.0; batch * time * units];
//! let mut state = [vec![0.0; batch * units], vec![0.0; batch * units]];
//! let views = state.iter_mut().map(|state| ViewMut::contiguous(state, [batch, 1, units]));
//! let results = Results {
//!     outputs: ViewMut::contiguous(&mut outputs, [batch, time, units])?,
//!     state: views.collect::<Result<_, _>>()?,
//! };
//! forward(&weights, &problem, results, false, &|| false)?;
//! assert_eq!(state[0][..units], outputs[(time - 1) * units..time * units]);
//! # Ok::<(), ferrnn::error::Error>(())
//! ```

pub mod cells;
pub mod error;
pub mod kernels;
pub mod layers;
pub mod machine;
pub mod models;
pub mod programs;
pub mod training;

#[cfg(feature = "python")]
mod python;
