//! Layers for frames of places: reordered pieces, products at each place, folded windows.

use std::sync::Arc;

use super::stage::{Idle, Outputs, Stage, positive, size};
use crate::error::{Error, Result};
use crate::kernels::pack::row_stride;
use crate::layers::dense;
use crate::machine::memory::Buffer;
use crate::machine::simd::{Element, Kernel, Level, MAX_LANES, Simd};

/// Pieces of a row in another order, some of them repeated or left out, with filling between them.
pub struct Select {
    input_size: usize,
    width: usize,
    from: Vec<u32>,
    fill: f64,
}

impl Select {
    /// Stands for a piece that is filling.
    pub const NOWHERE: u32 = u32::MAX;

    /// The pieces number `from` of a row of `pieces` pieces of `width` elements; [`Self::NOWHERE`]
    /// stands for a piece of `fill`.
    ///
    /// # Errors
    /// If there is no such piece, or a size is zero.
    pub fn new(pieces: usize, width: usize, from: Vec<u32>, fill: f64) -> Result<Self> {
        positive([("pieces", pieces), ("width", width), ("from", from.len())])?;
        let known = |&piece: &u32| piece == Self::NOWHERE || (piece as usize) < pieces;
        if let Some(&wrong) = from.iter().find(|piece| !known(piece)) {
            return Err(Error::value("from", format!("numbers of pieces below {pieces}"), wrong));
        }
        size([from.len(), width])?;
        Ok(Self { input_size: size([pieces, width])?, width, from, fill })
    }

    /// Elements of a row of inputs.
    #[must_use]
    pub fn input_size(&self) -> usize {
        self.input_size
    }

    /// Elements of a row of outputs.
    #[must_use]
    pub fn output_size(&self) -> usize {
        self.from.len() * self.width
    }

    /// Copies the pieces of one row.
    pub(super) fn apply<T: Element>(&self, row: &[T], to: &mut [T]) {
        let (width, fill) = (self.width, T::of(self.fill));
        for (to, &piece) in to.chunks_exact_mut(width).zip(&self.from) {
            if piece == Self::NOWHERE {
                to.fill(fill);
            } else {
                to.copy_from_slice(&row[piece as usize * width..][..width]);
            }
        }
    }
}

/// Pieces in another order, and the last outputs.
pub(super) struct SelectStage<T: Element> {
    select: Arc<Select>,
    outputs: Outputs<T>,
}

impl<T: Element> SelectStage<T> {
    pub(super) fn new(select: Arc<Select>, rows: usize) -> Result<Self> {
        Ok(Self { outputs: Outputs::new(rows, select.output_size())?, select })
    }
}

impl<T: Element> Stage<T> for SelectStage<T> {
    fn input_size(&self) -> usize {
        self.select.input_size
    }

    fn output_size(&self) -> usize {
        self.outputs.units
    }

    fn advance(&mut self, inputs: &[T], stride: usize, _idle: &mut Idle) {
        for (row, to) in inputs.chunks_exact(stride).zip(self.outputs.rows_mut()) {
            self.select.apply(row, to);
        }
    }

    fn outputs(&self) -> (&[T], usize) {
        self.outputs.get()
    }
}

/// Products at each of some places, with a layer's weights for each group of features.
#[derive(Clone)]
pub struct Products<T: Element> {
    /// Places of a row.
    pub places: usize,
    /// The weights of each group, all of one shape.
    pub groups: Vec<Arc<dense::Weights<T>>>,
}

/// Products of rows `[group, place, features]`: outputs `[place, group, units]`.
pub(super) struct ProductsStage<T: Element> {
    products: Products<T>,
    /// The outputs of one group.
    staged: Buffer<T>,
    outputs: Outputs<T>,
}

impl<T: Element> ProductsStage<T> {
    pub(super) fn new(products: Products<T>, rows: usize) -> Result<Self> {
        let Products { places, groups } = &products;
        positive([("places", *places), ("groups", groups.len())])?;
        let (features, units) = (groups[0].features(), groups[0].units());
        for group in &groups[1..] {
            if [group.features(), group.units()] != [features, units] {
                let received = [group.features(), group.units()];
                return Err(Error::shape("groups", [features, units], received));
            }
        }
        size([groups.len(), *places, features])?;
        Ok(Self {
            staged: Buffer::zeroed(size([*places, row_stride(units)])?)?,
            outputs: Outputs::new(rows, size([groups.len(), *places, units])?)?,
            products,
        })
    }
}

impl<T: Element> Stage<T> for ProductsStage<T> {
    fn input_size(&self) -> usize {
        let Products { places, groups } = &self.products;
        groups.len() * places * groups[0].features()
    }

    fn output_size(&self) -> usize {
        self.outputs.units
    }

    fn work(&self) -> usize {
        self.input_size() * self.products.groups[0].units()
    }

    fn advance(&mut self, inputs: &[T], stride: usize, _idle: &mut Idle) {
        let Products { places, groups } = &self.products;
        let (features, units) = (groups[0].features(), groups[0].units());
        let (all, apart) = (groups.len() * units, row_stride(units));
        for (row, to) in inputs.chunks_exact(stride).zip(self.outputs.rows_mut()) {
            for (group, weights) in groups.iter().enumerate() {
                let left = &row[group * places * features..];
                weights.multiply(left, features, &mut self.staged, apart);
                let places = to.chunks_exact_mut(all);
                for (to, from) in places.zip(self.staged.chunks_exact(apart)) {
                    to[group * units..][..units].copy_from_slice(&from[..units]);
                }
            }
        }
    }

    fn outputs(&self) -> (&[T], usize) {
        self.outputs.get()
    }
}

/// What becomes of a window's taps.
pub enum Fold<T: Element> {
    /// The greatest of them.
    Max,
    /// Their sum.
    Sum,
    /// Their sum with a weight for each, `[tap][width]` and room for a vector.
    Weighted(Buffer<T>),
}

/// Windows of `taps` places folded: rows `[place, tap, width]` become `[place, width]`.
pub struct Folding<T: Element> {
    places: usize,
    taps: usize,
    width: usize,
    fold: Fold<T>,
}

impl<T: Element> Folding<T> {
    /// For `places` windows of `taps` places of `width` elements.
    ///
    /// # Errors
    /// If a size is zero, or memory runs out.
    pub fn new(places: usize, taps: usize, width: usize, fold: Fold<T>) -> Result<Self> {
        positive([("places", places), ("taps", taps), ("width", width)])?;
        size([places, taps, width])?;
        Ok(Self { places, taps, width, fold })
    }

    /// As [`Self::new`], for sums with `weights`, `[taps, width]`.
    ///
    /// # Errors
    /// If the weights have another shape, a size is zero, or memory runs out.
    pub fn weighted(places: usize, taps: usize, width: usize, weights: &[T]) -> Result<Self> {
        let count = size([taps, width])?;
        if weights.len() != count {
            return Err(Error::shape("weights", [taps, width], [weights.len()]));
        }
        let room = count.checked_add(MAX_LANES).ok_or(Error::Memory(usize::MAX))?;
        let mut padded = Buffer::zeroed(room)?;
        padded[..count].copy_from_slice(weights);
        Self::new(places, taps, width, Fold::Weighted(padded))
    }
}

/// Folded windows, and the last outputs.
pub(super) struct FoldingStage<T: Element> {
    level: Level,
    folding: Arc<Folding<T>>,
    outputs: Outputs<T>,
}

impl<T: Element> FoldingStage<T> {
    pub(super) fn new(level: Level, folding: Arc<Folding<T>>, rows: usize) -> Result<Self> {
        let units = size([folding.places, folding.width])?;
        Ok(Self { level, outputs: Outputs::new(rows, units)?, folding })
    }
}

impl<T: Element> Stage<T> for FoldingStage<T> {
    fn input_size(&self) -> usize {
        self.folding.places * self.folding.taps * self.folding.width
    }

    fn output_size(&self) -> usize {
        self.outputs.units
    }

    fn work(&self) -> usize {
        self.input_size()
    }

    fn advance(&mut self, inputs: &[T], stride: usize, _idle: &mut Idle) {
        let (level, folding) = (self.level, &*self.folding);
        for (row, to) in inputs.chunks_exact(stride).zip(self.outputs.rows_mut()) {
            T::dispatch(level, FoldRow { folding, row, to });
        }
    }

    fn outputs(&self) -> (&[T], usize) {
        self.outputs.get()
    }
}

struct FoldRow<'a, T: Element> {
    folding: &'a Folding<T>,
    row: &'a [T],
    to: &'a mut [T],
}

impl<T: Element> Kernel<T> for FoldRow<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(self, s: S) {
        let Folding { places, taps, width, ref fold } = *self.folding;
        // Vectors may reach beyond a piece: what is written there is overwritten later, or lies
        // beyond the row's end, where there is room for a vector.
        for place in 0..places {
            for at in (0..width).step_by(S::LANES) {
                let value = |tap: usize| s.load(&self.row[(place * taps + tap) * width + at..]);
                let folded = match fold {
                    Fold::Max => (1..taps).fold(value(0), |most, tap| {
                        let value = value(tap);
                        s.select_lt(most, value, value, most)
                    }),
                    Fold::Sum => (1..taps).fold(value(0), |sum, tap| s.add(sum, value(tap))),
                    Fold::Weighted(weights) => (0..taps).fold(s.splat(T::ZERO), |sum, tap| {
                        s.add(sum, s.mul(value(tap), s.load(&weights[tap * width + at..])))
                    }),
                };
                s.store(folded, &mut self.to[place * width + at..]);
            }
        }
    }
}
