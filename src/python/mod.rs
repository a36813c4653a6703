//! The Python module: arrays in, arrays out, errors mapped.

mod activation;
mod arrays;
mod attention;
mod convolution;
mod dense;
mod embedding;
mod guard;
mod handed_back;
mod leaving;
mod loss;
mod machine;
mod normalization;
mod optimizer;
mod parts;
mod penalty;
mod plan;
mod plan_jobs;
mod plan_layers;
mod plan_parts;
mod problem;
mod products;
mod program;
mod random;
mod recurrent;
mod rows;
mod stream;
mod weights;
mod written;

use pyo3::prelude::*;

/// The native engine.
#[pymodule(gil_used = false)]
mod _core {
    #[pymodule_export]
    use super::activation::{activate, erf};
    #[pymodule_export]
    use super::attention::{attention_backward, attention_forward};
    #[pymodule_export]
    use super::convolution::{conv_lstm_step, convolution_forward, max_pool, max_pool_backward};
    #[pymodule_export]
    use super::dense::{DenseWeights, dense_backward, dense_forward};
    #[pymodule_export]
    use super::embedding::{EmbeddingWeights, embedding_backward, embedding_forward};
    #[pymodule_export]
    use super::guard::{_panic, InternalError};
    #[pymodule_export]
    use super::leaving::{_forked, _leave};
    #[pymodule_export]
    use super::loss::mean_loss;
    #[pymodule_export]
    use super::machine::{
        clear_buffers, limits, machine, num_threads, set_num_threads, simd_level,
    };
    #[pymodule_export]
    use super::normalization::{
        NormalizationWeights, normalization_backward, normalization_forward,
    };
    #[pymodule_export]
    use super::optimizer::{adam_update, sgd_update, squared_norms};
    #[pymodule_export]
    use super::penalty::{penalty, penalty_gradient};
    #[pymodule_export]
    use super::plan::Plan;
    #[pymodule_export]
    use super::problem::Problem;
    #[pymodule_export]
    use super::products::products;
    #[pymodule_export]
    use super::program::{Program, ProgramRun, program_backward, program_forward};
    #[pymodule_export]
    use super::random::noise;
    #[pymodule_export]
    use super::recurrent::{Residuals, rnn_backward, rnn_forward};
    #[pymodule_export]
    use super::stream::Stream;
    #[pymodule_export]
    use super::weights::Weights;

    #[pymodule_init]
    fn init(module: &pyo3::Bound<'_, pyo3::types::PyModule>) -> pyo3::PyResult<()> {
        super::guard::note_panics();
        super::arrays::prepare(module.py())?;
        super::leaving::prepare(module)
    }
}
