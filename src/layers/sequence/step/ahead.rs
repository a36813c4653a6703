//! The input's product of later steps, computed beside the recurrent product of one row.
//!
//! One row's recurrent product waits for its weights: each that is read serves one multiply-add,
//! half of what the CPU could do meanwhile. The input's product of the steps to come, whose weights
//! each serve several rows, fills the gap. Its sums are chains in order of depth as elsewhere, so
//! results do not depend on where they were computed.

use std::ops::Range;

use crate::kernels::add_product::AddProduct;
use crate::kernels::pack::Packed;
use crate::kernels::tile::{Beside, LeftRows, accumulate, accumulate_beside, blocks};
use crate::layers::sequence::plan::Windows;
use crate::layers::sequence::weights::Weights;
use crate::machine::caches;
use crate::machine::simd::{Element, Kernel, Simd};

/// How the input's product of a cell is cut: tiles of rows times gates of a block of units, as many
/// sums as there are registers for, and each tile's depth into pieces. Between them, the steps of
/// as many rows as a tile has take all pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    EightByTwo,
    SixByThree,
    SixteenByOne,
    /// Nothing is multiplied ahead.
    None,
}

impl Cut {
    /// The cut for a cell with this many gates.
    pub(crate) const fn of(gates: usize) -> Self {
        match gates {
            4 => Self::EightByTwo,
            3 => Self::SixByThree,
            1 => Self::SixteenByOne,
            _ => Self::None,
        }
    }

    /// Rows of a tile.
    pub(crate) const fn rows(self) -> usize {
        match self {
            Self::EightByTwo => 8,
            Self::SixByThree => 6,
            Self::SixteenByOne => 16,
            Self::None => 1,
        }
    }

    /// Gates of a tile.
    pub(crate) const fn gates(self) -> usize {
        match self {
            Self::EightByTwo => 2,
            Self::SixByThree => 3,
            Self::SixteenByOne | Self::None => 1,
        }
    }

    /// Pieces of a tile's depth.
    const fn pieces(self) -> usize {
        match self {
            Self::EightByTwo | Self::SixteenByOne => 2,
            Self::SixByThree => 3,
            Self::None => 1,
        }
    }
}

/// Nobody waits for weights so small that the first-level cache keeps most of them.
const CACHED_BYTES: usize = 48 << 10;
/// How many tiles of rows a window has if the second-level cache cannot keep both operands beside
/// everything else in use: reading the kernel once more for every tile would take longer than it
/// saves.
const TALL: usize = 3;
/// With fewer features than this, the product is not worth the loads and stores of its sums.
const FEW_FEATURES: usize = 32;

/// The windows, if it pays to multiply ahead for these blocks of units.
pub(crate) fn windows<T: Element>(weights: &Weights<T>, blocks: &Range<usize>) -> Option<Windows> {
    let gates = weights.layout.input.1;
    let [recurrent] = &weights.recurrent[..] else { return None };
    if recurrent.width() == 0 {
        return None;
    }
    let bytes = blocks.len() * weights.lanes() * gates * weights.units * size_of::<T>();
    let cut = Cut::of(gates);
    if cut == Cut::None {
        return None;
    }
    let (rows, tile, pieces) = (cut.rows(), cut.gates(), cut.pieces());
    // Groups of eight vectors have a piece beside each of their products.
    let room = blocks.len() / (8 / gates) * rows;
    let pays = weights.level.rows::<T>() == 6
        && !recurrent.is_halved()
        && bytes > CACHED_BYTES
        && weights.features >= FEW_FEATURES
        && 4 * room >= 3 * blocks.len() * gates / tile * pieces;
    let both = bytes + bytes / weights.units * weights.features;
    let tiles = if both > caches::sizes().l2 / 4 * 3 { TALL } else { 1 };
    pays.then(|| Windows::of(rows * tiles))
}

/// What is multiplied beside the steps of a chunk.
pub(crate) struct Ahead<'a, T: Element> {
    windows: Windows,
    /// The chunk's inputs, by chunk row, and the elements between them.
    inputs: &'a [T],
    stride: usize,
    kernel: &'a Packed<T>,
    /// `[block][gate][LANES]`
    bias: &'a [T],
    /// The part's blocks of units.
    blocks: Range<usize>,
    /// Rows of the chunk.
    rows: usize,
    /// Vectors of a row and block.
    width: usize,
    /// The first row of the current window; none once everything is multiplied.
    window: Option<usize>,
    /// The next piece of it.
    piece: usize,
}

/// One of the pieces of a window.
struct Piece {
    block: usize,
    gate: usize,
    /// The first row.
    row: usize,
    depth: (usize, usize),
}

impl<'a, T: Element> Ahead<'a, T> {
    pub(crate) fn new(
        weights: &'a Weights<T>,
        windows: Windows,
        blocks: Range<usize>,
        (inputs, stride): (&'a [T], usize),
        rows: usize,
    ) -> Self {
        let (kernel, bias) = (&weights.kernel, &weights.input_bias[..]);
        let width = weights.layout.slots.len();
        let (window, piece) = (None, 0);
        Self { windows, inputs, stride, kernel, bias, blocks, rows, width, window, piece }
    }

    /// Turns to the next window if this row's step is the first of its own.
    pub(crate) fn begin(&mut self, row: usize) {
        let rows = self.windows.rows();
        if row.is_multiple_of(rows) {
            self.window = Some(row + rows).filter(|first| first + rows <= self.rows);
            self.piece = 0;
        }
    }

    /// Whether this row's step is the last of its window.
    pub(crate) fn ends(&self, row: usize) -> bool {
        row % self.windows.rows() + 1 == self.windows.rows()
    }

    /// Multiplies a row by a group of blocks, and beside it the next piece, if there is one.
    ///
    /// `acc[0][block][gate] += left · right[block][..][gate]`
    #[inline(always)]
    pub(crate) fn accumulate<
        S: Simd<T>,
        const PB: usize,
        const G: usize,
        const MR: usize,
        const MG: usize,
    >(
        &mut self,
        s: S,
        acc: &mut [[[S::V; G]; PB]; 1],
        left: LeftRows<'_, T, 1>,
        right: [&[[S::V; G]]; PB],
        slots: &mut [T],
    ) {
        let Some(piece) = self.next::<G>() else {
            return accumulate(s, acc, left, right, 0);
        };
        let mut sums = self.load::<S, G, MR, MG>(s, &piece, slots);
        let [columns] = blocks::<T, S, 1, G>(s, self.kernel, piece.block, piece.depth);
        let rows = self.left::<MR>(&piece);
        let beside = Beside { sums: &mut sums, rows, columns, first: piece.gate };
        accumulate_beside(s, acc, left, right, beside);
        self.store(s, &piece, &sums, slots);
    }

    fn next<const G: usize>(&mut self) -> Option<Piece> {
        let first = self.window?;
        let cut = const { Cut::of(G) };
        let (rows, gates, pieces) = (cut.rows(), cut.gates(), cut.pieces());
        // The tiles of rows one after the other, so that they share what is read of the kernel.
        let tiles = self.windows.rows() / rows;
        let (piece, row) = (self.piece / tiles, first + self.piece % tiles * rows);
        let (tile, part) = (piece / pieces, piece % pieces);
        let block = self.blocks.start + tile / (G / gates);
        if block >= self.blocks.end {
            return None;
        }
        self.piece += 1;
        let depth = self.kernel.depth();
        let from = part * depth / pieces;
        let depth = (from, (part + 1) * depth / pieces - from);
        Some(Piece { block, gate: tile % (G / gates) * gates, row, depth })
    }

    #[inline(always)]
    fn left<const MR: usize>(&self, piece: &Piece) -> LeftRows<'a, T, MR> {
        let inputs = &self.inputs[piece.depth.0..];
        LeftRows::new(inputs, self.stride, piece.depth.1, |r| piece.row + r)
    }

    /// The vector of a row's first sum.
    #[inline(always)]
    fn at(&self, piece: &Piece, row: usize) -> usize {
        let block = piece.block - self.blocks.start;
        (block * self.rows + piece.row + row) * self.width + piece.gate
    }

    #[inline(always)]
    fn load<S: Simd<T>, const G: usize, const MR: usize, const MG: usize>(
        &self,
        s: S,
        piece: &Piece,
        slots: &[T],
    ) -> [[[S::V; MG]; 1]; MR] {
        let mut sums = [[[s.splat(T::ZERO); MG]; 1]; MR];
        for (r, sums) in sums.iter_mut().enumerate() {
            sums[0].copy_from_slice(if piece.depth.0 == 0 {
                &s.vectors(self.bias)[piece.block * G + piece.gate..][..MG]
            } else {
                &s.vectors(slots)[self.at(piece, r)..][..MG]
            });
        }
        sums
    }

    #[inline(always)]
    fn store<S: Simd<T>, const MR: usize, const MG: usize>(
        &self,
        s: S,
        piece: &Piece,
        sums: &[[[S::V; MG]; 1]; MR],
        slots: &mut [T],
    ) {
        for (r, sums) in sums.iter().enumerate() {
            s.vectors_mut(slots)[self.at(piece, r)..][..MG].copy_from_slice(&sums[0]);
        }
    }
}

/// The pieces of a window for which there was no room beside its steps.
pub(crate) struct Rest<'a, 'h, T: Element, const G: usize, const MR: usize, const MG: usize> {
    pub(crate) ahead: &'a mut Ahead<'h, T>,
    /// The chunk's slots.
    pub(crate) slots: &'a mut [T],
}

impl<T: Element, const G: usize, const MR: usize, const MG: usize> Kernel<T>
    for Rest<'_, '_, T, G, MR, MG>
{
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(self, s: S) {
        let Self { ahead, slots } = self;
        while let Some(piece) = ahead.next::<G>() {
            let mut sums = ahead.load::<S, G, MR, MG>(s, &piece, slots);
            let right = blocks::<T, S, 1, G>(s, ahead.kernel, piece.block, piece.depth);
            accumulate(s, &mut sums, ahead.left(&piece), right, piece.gate);
            ahead.store(s, &piece, &sums, slots);
        }
    }
}

/// The only row's product with a group of blocks, and a piece of the input's product beside it.
pub(crate) struct RowBeside<
    'a,
    'h,
    T: Element,
    const PB: usize,
    const G: usize,
    const W: usize,
    const MR: usize,
    const MG: usize,
> {
    pub(crate) product: AddProduct<'a, T, PB, G, W>,
    pub(crate) ahead: &'a mut Ahead<'h, T>,
}

impl<T: Element, const PB: usize, const G: usize, const W: usize, const MR: usize, const MG: usize>
    Kernel<T> for RowBeside<'_, '_, T, PB, G, W, MR, MG>
{
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(self, s: S) {
        let AddProduct { left, stride, rows, right, block: (block, _), sums, place, first } =
            self.product;
        let depth = right.depth();
        let at = |b: usize| (place.0 + b * place.1) * W + first;
        let mut acc = [[[s.splat(T::ZERO); G]; PB]];
        for b in 0..PB {
            acc[0][b].copy_from_slice(&s.vectors(sums)[at(b)..][..G]);
        }
        let left = LeftRows::<T, 1>::new(left, stride, depth, |_| rows[0] as usize);
        let right = blocks::<T, S, PB, G>(s, right, block, (0, depth));
        self.ahead.accumulate::<S, PB, G, MR, MG>(s, &mut acc, left, right, sums);
        for b in 0..PB {
            s.vectors_mut(sums)[at(b)..][..G].copy_from_slice(&acc[0][b]);
        }
    }
}
