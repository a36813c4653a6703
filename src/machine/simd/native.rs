//! The operations of a token in terms of short names for its instructions.
//!
//! Every `unsafe` block rests on one fact: a token exists only where its `detect` has found the
//! instructions, so calling them is defined. Loads and stores check the slice first.

/// Implements `Simd<$type>` for `$token`: vectors `$vector` of `$lanes` elements, tiles of at most
/// `$rows` rows, and a module `$op` that names the instructions. With `masked`, that names loads and
/// stores of some lanes too; with `parted`, functions that move a quarter or a half of the lanes; with
/// `integers`, those on integers; with `quads`, those on four bytes; with `more`, the token has a
/// function `more` that gives the token of more instructions on integers.
macro_rules! native {
    (
        $token:ident, $type:ident, $vector:ident, $lanes:literal, $rows:literal, $op:ident
        $(, $extra:ident)*
    ) => {
        impl Simd<$type> for $token {
            type V = $vector;
            const LANES: usize = $lanes;
            const ROWS: usize = $rows;

            #[inline(always)]
            fn apart<K: Kernel<$type>>(self, kernel: K) -> K::Output {
                self.enter(kernel)
            }
            #[inline(always)]
            fn splat(self, value: $type) -> Self::V {
                // SAFETY: `self` proves that the CPU has the instructions.
                unsafe { $op::splat(value) }
            }
            #[inline(always)]
            fn load(self, from: &[$type]) -> Self::V {
                let from = &from[..$lanes];
                // SAFETY: `self` proves the instructions; the slice has a vector's elements.
                unsafe { $op::load(from.as_ptr()) }
            }
            #[inline(always)]
            fn store(self, v: Self::V, to: &mut [$type]) {
                let to = &mut to[..$lanes];
                // SAFETY: `self` proves the instructions; the slice has a vector's elements.
                unsafe { $op::store(to.as_mut_ptr(), v) }
            }
            $(native!(@$extra $type, $lanes, $op);)*
            #[inline(always)]
            fn vectors(self, buffer: &[$type]) -> &[Self::V] {
                // SAFETY: a vector is valid for any bits of its elements.
                let (head, vectors, tail) = unsafe { buffer.align_to() };
                assert!(head.is_empty() && tail.is_empty(), "not aligned to whole vectors");
                vectors
            }
            #[inline(always)]
            fn vectors_mut(self, buffer: &mut [$type]) -> &mut [Self::V] {
                // SAFETY: a vector is valid for any bits of its elements, and they for any of its.
                let (head, vectors, tail) = unsafe { buffer.align_to_mut() };
                assert!(head.is_empty() && tail.is_empty(), "not aligned to whole vectors");
                vectors
            }
            #[inline(always)]
            fn add(self, a: Self::V, b: Self::V) -> Self::V {
                // SAFETY: `self` proves that the CPU has the instructions.
                unsafe { $op::add(a, b) }
            }
            #[inline(always)]
            fn sub(self, a: Self::V, b: Self::V) -> Self::V {
                // SAFETY: `self` proves that the CPU has the instructions.
                unsafe { $op::sub(a, b) }
            }
            #[inline(always)]
            fn mul(self, a: Self::V, b: Self::V) -> Self::V {
                // SAFETY: `self` proves that the CPU has the instructions.
                unsafe { $op::mul(a, b) }
            }
            #[inline(always)]
            fn div(self, a: Self::V, b: Self::V) -> Self::V {
                // SAFETY: `self` proves that the CPU has the instructions.
                unsafe { $op::div(a, b) }
            }
            #[inline(always)]
            fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
                // SAFETY: `self` proves that the CPU has the instructions.
                unsafe { $op::mul_add(a, b, c) }
            }
            #[inline(always)]
            fn neg_mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
                // SAFETY: `self` proves that the CPU has the instructions.
                unsafe { $op::neg_mul_add(a, b, c) }
            }
            #[inline(always)]
            fn min(self, a: Self::V, b: Self::V) -> Self::V {
                // SAFETY: `self` proves that the CPU has the instructions.
                unsafe { $op::min(a, b) }
            }
            #[inline(always)]
            fn max(self, a: Self::V, b: Self::V) -> Self::V {
                // SAFETY: `self` proves that the CPU has the instructions.
                unsafe { $op::max(a, b) }
            }
            #[inline(always)]
            fn abs(self, a: Self::V) -> Self::V {
                // SAFETY: `self` proves that the CPU has the instructions.
                unsafe { $op::and_not($op::splat(-0.0), a) }
            }
            #[inline(always)]
            fn sqrt(self, a: Self::V) -> Self::V {
                // SAFETY: `self` proves that the CPU has the instructions.
                unsafe { $op::sqrt(a) }
            }
            #[inline(always)]
            fn copy_sign(self, a: Self::V, sign: Self::V) -> Self::V {
                // SAFETY: `self` proves that the CPU has the instructions.
                unsafe {
                    let bit = $op::splat(-0.0);
                    $op::or($op::and_not(bit, a), $op::and(bit, sign))
                }
            }
            #[inline(always)]
            fn round(self, a: Self::V) -> Self::V {
                // SAFETY: `self` proves that the CPU has the instructions.
                unsafe { $op::round(a) }
            }
            #[inline(always)]
            fn pow2(self, n: Self::V) -> Self::V {
                // SAFETY: `self` proves that the CPU has the instructions.
                unsafe { $op::pow2(n) }
            }
            #[inline(always)]
            fn low_half(self, pairs: Self::V) -> Self::V {
                // SAFETY: `self` proves that the CPU has the instructions.
                unsafe { $op::low_half(pairs) }
            }
            #[inline(always)]
            fn high_half(self, pairs: Self::V) -> Self::V {
                // SAFETY: `self` proves that the CPU has the instructions.
                unsafe { $op::high_half(pairs) }
            }
            #[inline(always)]
            fn select_lt(self, a: Self::V, b: Self::V, yes: Self::V, no: Self::V) -> Self::V {
                // SAFETY: `self` proves that the CPU has the instructions.
                unsafe { $op::select($op::less(a, b), yes, no) }
            }
        }
    };
    (@integers $type:ident, $lanes:literal, $op:ident) => {
        const PAIRS_APART: bool = $op::PAIRS_APART;
        #[inline(always)]
        fn even_bytes(self, bytes: Self::V) -> Self::V {
            // SAFETY: `self` proves that the CPU has the instructions.
            unsafe { $op::even_bytes(bytes) }
        }
        #[inline(always)]
        fn odd_bytes(self, bytes: Self::V) -> Self::V {
            // SAFETY: `self` proves that the CPU has the instructions.
            unsafe { $op::odd_bytes(bytes) }
        }
        #[inline(always)]
        fn pack_pairs(self, low: Self::V, high: Self::V) -> Self::V {
            // SAFETY: `self` proves that the CPU has the instructions.
            unsafe { $op::pack_pairs(low, high) }
        }
        #[inline(always)]
        fn add_pairs(self, sums: Self::V, weights: Self::V, pairs: Self::V) -> Self::V {
            // SAFETY: `self` proves that the CPU has the instructions.
            unsafe { $op::add_pairs(sums, weights, pairs) }
        }
        #[inline(always)]
        fn numbers(self, integers: Self::V) -> Self::V {
            // SAFETY: `self` proves that the CPU has the instructions.
            unsafe { $op::numbers(integers) }
        }
    };
    (@quads $type:ident, $lanes:literal, $op:ident) => {
        const QUADS: bool = true;
        #[inline(always)]
        fn quads(self, [first, second]: [Self::V; 2]) -> [Self::V; 2] {
            // SAFETY: `self` proves that the CPU has the instructions.
            unsafe { [$op::low_bytes(first, second), $op::high_bytes(first, second)] }
        }
        #[inline(always)]
        fn add_quads(self, sums: Self::V, weights: Self::V, quads: Self::V) -> Self::V {
            // SAFETY: `self` proves that the CPU has the instructions.
            unsafe { $op::add_quads(sums, weights, quads) }
        }
        #[inline(always)]
        fn join_quads(self, low: Self::V, high: Self::V) -> Self::V {
            // SAFETY: `self` proves that the CPU has the instructions.
            unsafe { $op::join_quads(low, high) }
        }
    };
    (@more $type:ident, $lanes:literal, $op:ident) => {
        #[inline(always)]
        fn with_integers<K: Kernel<$type>>(self, kernel: K) -> K::Output {
            match self.more() {
                Some(more) => more.enter(kernel),
                None => kernel.run(self),
            }
        }
    };
    (@parted $type:ident, $lanes:literal, $op:ident) => {
        #[inline(always)]
        fn part<const PARTS: usize>(self, v: Self::V, number: usize) -> Self::V {
            // SAFETY: `self` proves that the CPU has the instructions.
            unsafe {
                match (PARTS, number) {
                    (4, 0) => $op::quarter::<0>(v),
                    (4, 1) => $op::quarter::<1>(v),
                    (4, 2) => $op::quarter::<2>(v),
                    (4, 3) => $op::quarter::<3>(v),
                    (2, 0) => $op::half::<0b0100>(v),
                    (2, 1) => $op::half::<0b1110>(v),
                    (parts, number) => unreachable!("part {number} of {parts}"),
                }
            }
        }
    };
    (@masked $type:ident, $lanes:literal, $op:ident) => {
        #[inline(always)]
        fn load_partial(self, from: &[$type]) -> Self::V {
            if from.len() >= $lanes {
                return self.load(from);
            }
            // SAFETY: `self` proves the instructions; lanes beyond the slice are not read.
            unsafe { $op::load_some((1 << from.len()) - 1, from.as_ptr()) }
        }
        #[inline(always)]
        fn store_partial(self, v: Self::V, to: &mut [$type]) {
            if to.len() >= $lanes {
                return self.store(v, to);
            }
            // SAFETY: `self` proves the instructions; lanes beyond the slice are not written.
            unsafe { $op::store_some(to.as_mut_ptr(), (1 << to.len()) - 1, v) }
        }
    };
}
pub(super) use native;
