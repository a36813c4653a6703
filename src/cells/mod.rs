//! The cells: each one's equations on registers, forward and backward.

mod contract;
mod coupled_lstm;
mod gru;
mod gru_reset_before;
mod ind_rnn;
mod lstm;
mod minimal_gated;
mod peephole_lstm;
mod simple_rnn;

use crate::error::{Error, Result};
use crate::machine::simd::Element;

pub(crate) use contract::with_shape;
pub use contract::{
    Cell, Gradient, KEPT, Layout, MAX_SLOTS, MAX_STATES, MAX_VECTORS, Previous, Shape, range,
};
pub use coupled_lstm::CoupledLstm;
pub use gru::Gru;
pub use gru_reset_before::GruResetBefore;
pub use ind_rnn::IndRnn;
pub use lstm::Lstm;
pub use minimal_gated::MinimalGated;
pub use peephole_lstm::PeepholeLstm;
pub use simple_rnn::SimpleRnn;

macro_rules! cells {
    ($($kind:ident, $name:literal => $cell:ty, $doc:literal;)*) => {
        /// The cells that the engine knows.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum CellKind {
            $(#[doc = $doc] $kind,)*
        }

        impl CellKind {
            /// Every cell.
            pub const ALL: &'static [Self] = &[$(Self::$kind),*];

            /// The cell called `name`.
            ///
            /// # Errors
            /// If there is none of that name.
            pub fn named(name: &str) -> Result<Self> {
                match name {
                    $($name => Ok(Self::$kind),)*
                    _ => Err(Error::value("cell", format!("one of {}", [$($name),*].join(", ")), name)),
                }
            }

            /// How the cell's vectors lie.
            #[must_use]
            pub fn layout(self) -> Layout {
                match self { $(Self::$kind => const { <$cell as Cell<f32>>::LAYOUT.checked() },)* }
            }

            /// Calls `visitor` with the cell's type.
            #[inline] // inlining it where the step is compiled is worth 1 % of a small stream's step
            pub(crate) fn visit<T: Element, V: Visitor<T>>(self, visitor: V) -> V::Output {
                match self { $(Self::$kind => visitor.visit::<$cell>(),)* }
            }
        }
    };
}

cells! {
    Lstm, "lstm" => Lstm, "Long short-term memory.";
    Gru, "gru" => Gru, "Gated recurrent unit, reset gate after the product.";
    GruResetBefore, "gru_reset_before" => GruResetBefore, "Gated recurrent unit, reset gate before the product.";
    CoupledLstm, "coupled_lstm" => CoupledLstm, "Long short-term memory, input and forget gate coupled.";
    IndRnn, "ind_rnn" => IndRnn, "Independently recurrent units.";
    MinimalGated, "minimal_gated" => MinimalGated, "Minimal gated unit.";
    PeepholeLstm, "peephole_lstm" => PeepholeLstm, "Long short-term memory whose gates see the state.";
    SimpleRnn, "simple_rnn" => SimpleRnn, "Fully connected recurrence.";
}

/// Work that is compiled for each cell.
pub(crate) trait Visitor<T: Element> {
    /// What it gives.
    type Output;

    /// Does it for one cell.
    fn visit<C: Cell<T>>(self) -> Self::Output;
}
