//! The cells: each one's equations on registers, forward and backward.

mod contract;
mod gru;
mod gru_reset_before;
mod lstm;
mod simple_rnn;

use crate::machine::simd::Element;

pub use contract::{Cell, Gradient, Layout, Previous, range};
pub use gru::Gru;
pub use gru_reset_before::GruResetBefore;
pub use lstm::Lstm;
pub use simple_rnn::SimpleRnn;

macro_rules! cells {
    ($($kind:ident => $cell:ty, $doc:literal;)*) => {
        /// The cells that the engine knows.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum CellKind {
            $(#[doc = $doc] $kind,)*
        }

        impl CellKind {
            /// Every cell.
            pub const ALL: &'static [Self] = &[$(Self::$kind),*];

            /// How the cell's vectors lie.
            #[must_use]
            pub fn layout(self) -> Layout {
                match self { $(Self::$kind => <$cell as Cell<f32>>::LAYOUT,)* }
            }

            /// Calls `visitor` with the cell's type.
            pub(crate) fn visit<T: Element, V: Visitor<T>>(self, visitor: V) {
                match self { $(Self::$kind => visitor.visit::<$cell>(),)* }
            }
        }
    };
}

cells! {
    Lstm => Lstm, "Long short-term memory.";
    Gru => Gru, "Gated recurrent unit, reset gate after the product.";
    GruResetBefore => GruResetBefore, "Gated recurrent unit, reset gate before the product.";
    SimpleRnn => SimpleRnn, "Fully connected recurrence.";
}

/// Work that is compiled for each cell.
pub(crate) trait Visitor<T: Element> {
    /// Does it for one cell.
    fn visit<C: Cell<T>>(self);
}
