//! Loads and stores of slices shorter than a vector, on every instruction set.

use ferrnn::simd::{Element, Kernel, Level, MAX_LANES, Simd};

/// Loads what there is of a vector, and stores it as far as there is room.
struct Copy<'a, T> {
    from: &'a [T],
    /// What was loaded, zeros among it.
    whole: &'a mut [T],
    to: &'a mut [T],
}

impl<T: Element> Kernel<T> for Copy<'_, T> {
    type Output = usize;

    #[inline(always)]
    fn run<S: Simd<T>>(self, s: S) -> usize {
        let loaded = s.load_partial(self.from);
        s.store(loaded, self.whole);
        s.store_partial(loaded, self.to);
        S::LANES
    }
}

fn every_length<T: Element>() {
    let numbers: Vec<T> = (1..=2 * MAX_LANES).map(|n| T::of(n as f64)).collect();
    let other = T::of(-1.0);
    for level in Level::all() {
        for length in 0..=MAX_LANES + 1 {
            for room in 0..=length {
                let mut whole = [other; MAX_LANES];
                let mut to = [other; 2 * MAX_LANES];
                let from = &numbers[..length];
                let copy = Copy { from, whole: &mut whole, to: &mut to[1..=room] };
                let lanes = T::dispatch(level, copy);
                let real = length.min(lanes);
                assert_eq!(whole[..real], numbers[..real], "{level:?}: {length}");
                assert!(whole[real..lanes].iter().all(|&v| v == T::ZERO), "{level:?}: {length}");
                let stored = room.min(lanes);
                assert_eq!(to[1..=stored], numbers[..stored], "{level:?}: {room} of {length}");
                let apart = to[..1].iter().chain(&to[stored + 1..]);
                assert!(apart.into_iter().all(|&v| v == other), "{level:?}: {room} of {length}");
            }
        }
    }
}

#[test]
fn only_what_a_slice_has_is_read_and_written() {
    every_length::<f32>();
    every_length::<f64>();
}
