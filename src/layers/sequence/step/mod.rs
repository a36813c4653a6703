//! One step of a slice's rows, for the given cell: products on register tiles, equations on their
//! sums.

/// Runs `OfCell`, a kernel for a cell's phase and its functions, for `$of`: which phase that is, and
/// whether the functions of the `$weights` are those compiled in, is only known at run time.
macro_rules! dispatch_phase {
    ($T:ident, $C:ident, $weights:expr, $of:expr) => {{
        use $crate::kernels::activation::Standard;
        let (weights, of) = ($weights, $of);
        let (level, functions) = (weights.level, weights.activations);
        let second = const { $C::LAYOUT.phases.len() > 1 } && of.phase > 0;
        match (second, functions.is_standard() && !level.is_small()) {
            // Only a cell that has a second phase is compiled for it.
            (true, true) => {
                if const { $C::LAYOUT.phases.len() > 1 } {
                    $T::dispatch(level, OfCell::<$T, $C, _, 1>::new(of, Standard));
                }
            }
            (true, false) => {
                if const { $C::LAYOUT.phases.len() > 1 } {
                    $T::dispatch(level, OfCell::<$T, $C, _, 1>::new(of, functions));
                }
            }
            (false, true) => $T::dispatch(level, OfCell::<$T, $C, _, 0>::new(of, Standard)),
            (false, false) => $T::dispatch(level, OfCell::<$T, $C, _, 0>::new(of, functions)),
        }
    }};
}
pub(crate) mod ahead;
pub(crate) mod backward;
mod finish;
pub(crate) mod forward;
pub(crate) mod piece;
pub(crate) mod single;
pub(crate) mod sweep;
