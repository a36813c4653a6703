//! Products of matrices, sample by sample: those of the register tile, so that a sample gets the same bits
//! alone and in a batch.

use crate::error::{Error, Result};
use crate::kernels::pack::{Packed, row_stride};
use crate::kernels::product::Product;
use crate::kernels::row_function::{ApplyToRows, RowFunction};
use crate::machine::lists;
use crate::machine::memory::Buffer;
use crate::machine::simd::{Element, Level};
use crate::machine::threads::{self, Ask, Stop};

/// Rows of a product, each of whole vectors.
pub(super) struct Scratch<T: Element> {
    level: Level,
    out: Buffer<T>,
    stride: usize,
}

impl<T: Element> Scratch<T> {
    /// Room for `rows` rows of `columns` columns.
    #[inline(never)]
    pub(super) fn new(level: Level, rows: usize, columns: usize) -> Result<Self> {
        let stride = row_stride(columns);
        let size = rows.checked_mul(stride).ok_or(Error::Memory(usize::MAX))?;
        Ok(Self { level, out: Buffer::zeroed(size)?, stride })
    }

    /// Writes `left · right`; rows of the left side are `stride` elements apart.
    #[inline(never)]
    fn multiply(&mut self, left: &[T], stride: usize, right: &Packed<T>) {
        let rows = self.out.len() / self.stride;
        let to = (&mut self.out[..], self.stride / self.level.lanes::<T>());
        T::dispatch(self.level, Product::of((left, stride, rows), right, to));
    }

    #[inline(never)]
    pub(super) fn row(&mut self, at: usize) -> &mut [T] {
        &mut self.out[at * self.stride..][..self.stride]
    }

    pub(super) fn rows(&mut self) -> std::slice::ChunksExactMut<'_, T> {
        self.out.chunks_exact_mut(self.stride)
    }

    /// The first `columns` columns as a matrix.
    pub(super) fn matrix(&self, columns: usize) -> Matrix<'_, T> {
        let rows = self.out.len() / self.stride;
        Matrix { of: &self.out, stride: self.stride, shape: [rows, columns], turned: false }
    }

    /// Applies a function to the first `units` elements of each row.
    pub(super) fn apply(&mut self, function: RowFunction, units: usize) {
        let Self { level, stride, .. } = *self;
        T::dispatch(level, ApplyToRows { function, values: &mut self.out, stride, units });
    }

    /// The first `columns` of each row to its place.
    #[inline(never)]
    pub(super) fn copy(&mut self, to: &mut [T], width: usize, first: usize, columns: usize) {
        for (from, to) in self.rows().zip(to.chunks_exact_mut(width)) {
            to[first..][..columns].copy_from_slice(&from[..columns]);
        }
    }
}

/// A matrix, or one of each sample, one after the other.
#[derive(Clone, Copy)]
pub struct Matrix<'a, T> {
    /// From its first element on.
    pub of: &'a [T],
    /// Elements between the starts of two rows.
    pub stride: usize,
    /// Rows and columns.
    pub shape: [usize; 2],
    /// Whether its transpose stands for it.
    pub turned: bool,
}

impl<'a, T: Element> Matrix<'a, T> {
    /// A matrix of neighbouring rows.
    #[must_use]
    pub fn new(of: &'a [T], shape: [usize; 2], turned: bool) -> Self {
        Self { of, stride: shape[1], shape, turned }
    }

    /// The rows and columns of what stands for it.
    #[must_use]
    pub fn used(self) -> [usize; 2] {
        let [rows, columns] = self.shape;
        if self.turned { [columns, rows] } else { self.shape }
    }

    /// The transpose.
    #[must_use]
    pub fn transposed(self) -> Self {
        Self { turned: !self.turned, ..self }
    }

    fn of_sample(self, sample: usize) -> Self {
        let each = self.shape[0] * self.shape[1];
        Self { of: &self.of[sample * each..][..each], ..self }
    }
}

/// `left · right`
#[inline(never)]
pub(super) fn product<T: Element>(
    level: Level,
    left: Matrix<'_, T>,
    right: Matrix<'_, T>,
) -> Result<Scratch<T>> {
    let ([rows, depth], [_, columns]) = (left.used(), right.used());
    if left.turned && columns < rows.min(level.lanes::<T>()) {
        // Vectors of the product's rows would be partly empty: those of its columns are not.
        let turned = product(level, right.transposed(), left.transposed())?;
        let mut product = Scratch::new(level, rows, columns)?;
        for (n, row) in product.rows().enumerate() {
            let column = turned.out[n..].iter().step_by(turned.stride);
            row.iter_mut().zip(column).for_each(|(to, &from)| *to = from);
        }
        return Ok(product);
    }
    let mut packed = Packed::of_matrix(level, right.of, right.stride, right.shape)?;
    if right.turned {
        packed = packed.transposed(right.shape[1])?;
    }
    let mut turned = Buffer::unfilled(if left.turned { rows * depth } else { 0 })?;
    transpose(left.of, left.stride, depth, &mut turned);
    let (of, stride) = if left.turned { (&turned[..], depth) } else { (left.of, left.stride) };
    let mut product = Scratch::new(level, rows, columns)?;
    product.multiply(of, stride, &packed);
    Ok(product)
}

/// Refuses another number of elements than matrices have.
fn check(argument: &'static str, received: usize, shape: [usize; 3]) -> Result<()> {
    let elements = shape.iter().try_fold(1_usize, |product, &each| product.checked_mul(each));
    if elements == Some(received) {
        return Ok(());
    }
    Err(Error::value(argument, format!("the shape {shape:?}"), format!("{received} elements")))
}

/// Writes `left · right` of each sample.
///
/// # Errors
/// If shapes do not fit, if memory runs out, or if `stop` said so.
pub fn multiply<T: Element>(
    samples: usize,
    left: Matrix<'_, T>,
    right: Matrix<'_, T>,
    to: &mut [T],
    stop: Ask<'_>,
) -> Result<()> {
    let ([rows, depth], [inner, columns]) = (left.used(), right.used());
    check("left", left.of.len(), [samples, rows, depth])?;
    check("right", right.of.len(), [samples, depth, columns])?;
    check("product", to.len(), [samples, rows, columns])?;
    if inner != depth {
        return Err(Error::value("right", format!("{depth} rows"), inner));
    }
    if to.is_empty() || depth == 0 {
        to.fill(T::ZERO);
        return Ok(());
    }
    let (level, work) = (Level::current()?, to.len().saturating_mul(depth));
    let one = |sample: usize, [to, ..]: &mut [&mut [T]; 4]| {
        let mut made = product(level, left.of_sample(sample), right.of_sample(sample))?;
        made.copy(to, columns, 0, columns);
        Ok(0.0)
    };
    let arrays = [to, &mut [], &mut [], &mut []];
    by_sample(samples, threads::worth(work)?, arrays, &one, stop).map(|_| ())
}

/// What is done with one sample's parts of four arrays.
pub(super) type Work<'a, T> = &'a (dyn Fn(usize, &mut [&mut [T]; 4]) -> Result<f64> + Sync);

/// Works through all samples; returns the sum of what each returns.
#[inline(never)]
pub(super) fn by_sample<T: Element>(
    samples: usize,
    threads: usize,
    arrays: [&mut [T]; 4],
    work: Work<'_, T>,
    stop: Ask<'_>,
) -> Result<f64> {
    let mut rest = arrays.map(|all| {
        let each = all.len() / samples;
        all.chunks_exact_mut(each.max(1))
    });
    let mut tasks = lists::room(samples)?;
    for sample in 0..samples {
        let parts = rest.each_mut().map(|parts| parts.next().unwrap_or_default());
        lists::push(&mut tasks, (sample, parts, Ok(0.0)))?;
    }
    let stop = Stop::new(stop);
    threads::for_each(threads, &mut tasks, |worker, (sample, parts, result)| {
        *result = stop.poll(worker).and_then(|()| work(*sample, parts));
    });
    tasks.into_iter().try_fold(0.0, |sum, (.., result)| Ok(sum + result?))
}

/// Writes the transpose of rows that are `stride` elements apart: `to` has rows of `rows` elements.
#[inline(never)]
pub fn transpose<T: Element>(from: &[T], stride: usize, rows: usize, to: &mut [T]) {
    for (column, row) in to.chunks_exact_mut(rows.max(1)).enumerate() {
        for (to, &from) in row.iter_mut().zip(from[column..].iter().step_by(stride)) {
            *to = from;
        }
    }
}

/// `to *= by`
#[inline(never)]
pub(super) fn scale<T: Element>(to: &mut [T], by: T) {
    for to in to {
        *to = *to * by;
    }
}
