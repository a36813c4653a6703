//! Samples, gathered row by row from the caller's arrays.

use crate::machine::memory::View;

/// A number that becomes a `T` as NumPy casts it.
pub trait Cast<T>: Copy + Sync {
    /// The number.
    fn cast(self) -> T;
    /// All numbers of a row.
    fn cast_all(from: &[Self], to: &mut [T]) {
        for (to, &from) in to.iter_mut().zip(from) {
            *to = from.cast();
        }
    }
}

macro_rules! casts {
    ($($from:ty => $to:ty),+) => {
        $(impl Cast<$to> for $from {
            #[allow(clippy::cast_lossless, reason = "one line for all pairs")]
            fn cast(self) -> $to {
                self as $to
            }
        })+
    };
}

casts!(f64 => f32, f32 => f64, i64 => f32, i64 => f64, i32 => f32, i32 => f64, u8 => f32, u8 => f64);

macro_rules! copies {
    ($($type:ty),+) => {
        $(impl Cast<$type> for $type {
            fn cast(self) -> $type {
                self
            }
            fn cast_all(from: &[Self], to: &mut [$type]) {
                to.copy_from_slice(from);
            }
        })+
    };
}

copies!(f32, f64);

/// Samples `[samples, time, features]`, read as `T` one by one.
pub trait Samples<T>: Sync {
    /// Samples, time and features.
    fn axes(&self) -> [usize; 3];

    /// Writes the sample number `row`, `time * features` numbers.
    ///
    /// # Panics
    /// If there is no such sample.
    fn read(&self, row: usize, to: &mut [T]);
}

impl<T, S: Cast<T>> Samples<T> for View<'_, S> {
    fn axes(&self) -> [usize; 3] {
        self.shape()
    }

    fn read(&self, row: usize, to: &mut [T]) {
        if let Some(whole) = self.whole_row(row) {
            S::cast_all(whole, to);
            return;
        }
        let [_, time, features] = self.shape();
        for (step, to) in (0..time).zip(to.chunks_exact_mut(features.max(1))) {
            S::cast_all(self.row(row, step), to);
        }
    }
}
