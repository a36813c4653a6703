//! Parts of vectors, on every instruction set: loads and stores of slices shorter than a vector, and
//! halves and quarters of the lanes.

use ferrnn::machine::simd::{Element, Kernel, Level, MAX_LANES, Simd};

/// Loads as much of a vector as exists, and stores it as far as there is room.
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

/// Writes each of `PARTS` parts of the vector of 1, 2, 3, ...
struct Parts<'a, T, const PARTS: usize>(&'a mut [[T; MAX_LANES]; PARTS]);

impl<T: Element, const PARTS: usize> Kernel<T> for Parts<'_, T, PARTS> {
    type Output = usize;

    #[inline(always)]
    fn run<S: Simd<T>>(self, s: S) -> usize {
        let numbers: [T; MAX_LANES] = std::array::from_fn(|n| T::of(n as f64 + 1.0));
        let vector = s.load(&numbers);
        for (number, to) in self.0.iter_mut().enumerate() {
            s.store(s.part::<PARTS>(vector, number), to);
        }
        S::LANES
    }
}

fn every_part<const PARTS: usize>() {
    for level in Level::all() {
        let mut parts = [[-1.0_f32; MAX_LANES]; PARTS];
        let lanes = f32::dispatch(level, Parts(&mut parts));
        let size = lanes / PARTS;
        for (number, part) in parts.iter().enumerate() {
            let expected = |n: usize| if n < size { (number * size + n + 1) as f32 } else { 0.0 };
            let expected: Vec<f32> = (0..lanes).map(expected).collect();
            assert_eq!(part[..lanes], expected, "{level:?}: part {number} of {PARTS}");
        }
    }
}

#[test]
fn a_part_of_the_lanes_comes_first_and_zeros_follow() {
    every_part::<2>();
    every_part::<4>();
}
