//! Dense layers on the same register tile, so that a row gets the same bits alone and in a batch:
//! `outputs = f(inputs · kernel + bias)`.

mod activate;
mod stream;
mod weights;

use std::ops::Range;

use crate::error::{Error, Result};
use crate::kernels::activation::Activation;
use crate::kernels::long_product::{LongProduct, Staging, Stretch};
use crate::kernels::pack::{Packed, row_stride};
use crate::kernels::product::Start;
use crate::kernels::row_function::{ApplyToRows, RowFunction};
use crate::machine::memory::{Buffer, View, ViewMut};
use crate::machine::simd::{Element, Kernel, Simd};
use crate::machine::threads::{self, Ask, Stop};

use crate::machine::lists::{self, Listed, share};
pub use activate::activate;
pub use stream::DenseStage;
pub use weights::Weights;
use weights::{CHUNK_ROWS, multiply};

/// Computes `outputs` and, if wanted, the sums before the activation; all arrays are `[rows, 1,
/// size]`.
///
/// # Errors
/// If a shape does not fit, if memory runs out, or if `stop` said so.
pub fn forward<T: Element>(
    weights: &Weights<T>,
    inputs: View<'_, T>,
    outputs: ViewMut<'_, T>,
    sums: Option<ViewMut<'_, T>>,
    stop: Ask<'_>,
) -> Result<()> {
    let rows = inputs.shape()[0];
    expect("inputs", [rows, 1, weights.features], inputs.shape())?;
    expect("outputs", [rows, 1, weights.units], outputs.shape())?;
    if let Some(sums) = &sums {
        expect("sums", [rows, 1, weights.units], sums.shape())?;
    }
    let (threads, parts) = weights.plan(rows)?;
    let outputs = outputs.split(parts.iter().cloned())?;
    let sums = match sums {
        Some(sums) => sums.split(parts.iter().cloned())?.into_iter().map(Some).listed()?,
        None => parts.iter().map(|_| None).listed()?,
    };
    let mut tasks = parts
        .into_iter()
        .zip(outputs)
        .zip(sums)
        .map(|((rows, outputs), sums)| (rows, outputs, sums, Ok(())))
        .listed()?;
    let stop = Stop::new(stop);
    threads::for_each(threads, &mut tasks, |worker, (rows, outputs, sums, result)| {
        *result = stop.poll(worker);
        if result.is_err() {
            return;
        }
        *result = forward_rows(weights, inputs, rows.clone(), outputs, sums.as_mut());
    });
    tasks.into_iter().try_for_each(|(.., result)| result)
}

fn forward_rows<T: Element>(
    weights: &Weights<T>,
    inputs: View<'_, T>,
    rows: Range<usize>,
    outputs: &mut ViewMut<'_, T>,
    mut sums: Option<&mut ViewMut<'_, T>>,
) -> Result<()> {
    let (from, to) = (row_stride(weights.features), row_stride(weights.units));
    let mut left = Buffer::unfilled(rows.len() * from)?;
    let mut out = Buffer::unfilled(rows.len() * to)?;
    for (staged, row) in left.chunks_exact_mut(from).zip(rows.clone()) {
        staged[..weights.features].copy_from_slice(inputs.row(row, 0));
    }
    let start = weights.bias.as_ref().map_or(Start::Zero, |bias| Start::Bias(bias));
    multiply(weights.level, &left, from, &weights.kernel, &mut out, to, start);
    if let Some(sums) = &mut sums {
        for (row, sum) in out.chunks_exact(to).enumerate() {
            sums.row(row, 0).copy_from_slice(&sum[..weights.units]);
        }
    }
    if weights.activation != Activation::Linear {
        let activate = ApplyToRows {
            function: RowFunction::Each(weights.activation),
            values: &mut out,
            stride: to,
            units: weights.units,
        };
        T::dispatch(weights.level, activate);
    }
    for (row, out) in out.chunks_exact(to).enumerate() {
        outputs.row(row, 0).copy_from_slice(&out[..weights.units]);
    }
    Ok(())
}

/// Arrays that backward reads: what forward read and wrote, and the gradient with respect to its
/// outputs.
#[derive(Clone, Copy)]
pub struct Seeds<'a, T> {
    /// The inputs.
    pub inputs: View<'a, T>,
    /// The outputs, or the sums where the activation keeps its input.
    pub kept: View<'a, T>,
    /// The gradient with respect to the outputs.
    pub d_outputs: View<'a, T>,
}

/// Writes the gradients with respect to the inputs (if wanted), the kernel and the bias.
///
/// # Errors
/// If a shape does not fit, if memory runs out, or if `stop` said so.
pub fn backward<T: Element>(
    weights: &Weights<T>,
    seeds: Seeds<'_, T>,
    d_inputs: Option<ViewMut<'_, T>>,
    d_kernel: &mut [T],
    d_bias: Option<&mut [T]>,
    stop: Ask<'_>,
) -> Result<()> {
    let rows = seeds.inputs.shape()[0];
    expect("inputs", [rows, 1, weights.features], seeds.inputs.shape())?;
    expect("outputs", [rows, 1, weights.units], seeds.kept.shape())?;
    expect("d_outputs", [rows, 1, weights.units], seeds.d_outputs.shape())?;
    if let Some(d_inputs) = &d_inputs {
        expect("d_inputs", [rows, 1, weights.features], d_inputs.shape())?;
    }
    let stride = row_stride(weights.units);
    let mut d_sums = Buffer::unfilled(rows * stride)?;
    let (threads, parts) = weights.plan(rows)?;
    let transposed = if d_inputs.is_some() { Some(weights.transposed()?) } else { None };
    let mut d_inputs = match d_inputs {
        Some(view) => view.split(parts.iter().cloned())?.into_iter().map(Some).listed()?,
        None => parts.iter().map(|_| None).listed()?,
    };
    let mut rest: &mut [T] = &mut d_sums;
    let mut tasks = lists::room(parts.len())?;
    for (rows, d_inputs) in parts.into_iter().zip(&mut d_inputs) {
        let (of_task, after) = rest.split_at_mut(rows.len() * stride);
        rest = after;
        // Bounded: room was made.
        tasks.push((rows, of_task, d_inputs.take(), Ok(())));
    }
    let stop = Stop::new(stop);
    threads::for_each(threads, &mut tasks, |worker, (rows, d_sums, d_inputs, result)| {
        *result = stop.poll(worker);
        if result.is_err() {
            return;
        }
        *result = backward_rows(weights, seeds, transposed, rows.clone(), d_sums, d_inputs);
    });
    tasks.into_iter().try_for_each(|(.., result)| result)?;
    weight_gradients(weights, seeds.inputs, &d_sums, threads, d_kernel, d_bias)
}

fn backward_rows<T: Element>(
    weights: &Weights<T>,
    seeds: Seeds<'_, T>,
    transposed: Option<&Packed<T>>,
    rows: Range<usize>,
    d_sums: &mut [T],
    d_inputs: &mut Option<ViewMut<'_, T>>,
) -> Result<()> {
    let stride = row_stride(weights.units);
    let mut kept = Buffer::zeroed(rows.len() * stride)?;
    d_sums.fill(T::ZERO);
    for (n, row) in rows.clone().enumerate() {
        kept[n * stride..][..weights.units].copy_from_slice(seeds.kept.row(row, 0));
        d_sums[n * stride..][..weights.units].copy_from_slice(seeds.d_outputs.row(row, 0));
    }
    let slope = Slope { activation: weights.activation, kept: &kept, gradients: d_sums };
    T::dispatch(weights.level, slope);
    let (Some(d_inputs), Some(transposed)) = (d_inputs, transposed) else { return Ok(()) };
    let to = row_stride(weights.features);
    let mut out = Buffer::unfilled(rows.len() * to)?;
    multiply(weights.level, d_sums, stride, transposed, &mut out, to, Start::Zero);
    for (row, out) in out.chunks_exact(to).enumerate() {
        d_inputs.row(row, 0).copy_from_slice(&out[..weights.features]);
    }
    Ok(())
}

/// `d_kernel = inputs^T · d_sums`, `d_bias` their column sums; panels of features by thread, of which
/// each stages its own, and blocks of columns if there are too few.
fn weight_gradients<T: Element>(
    weights: &Weights<T>,
    inputs: View<'_, T>,
    d_sums: &[T],
    threads: usize,
    d_kernel: &mut [T],
    mut d_bias: Option<&mut [T]>,
) -> Result<()> {
    let tile_rows = weights.level.rows::<T>();
    let lanes = weights.level.lanes::<T>();
    let panels = (weights.features + 1).div_ceil(tile_rows);
    let blocks = weights.kernel.blocks();
    let of_panels = threads.min(panels);
    let of_blocks = (threads / of_panels).clamp(1, blocks);
    let part = |n: usize, all, count| share(all, n, count)..share(all, n + 1, count);
    let task = |n: usize| {
        let panels = part(n / of_blocks, panels, of_panels);
        let blocks = part(n % of_blocks, blocks, of_blocks);
        let sums = Buffer::zeroed(blocks.len() * panels.len() * tile_rows * lanes)?;
        Ok((Tile { panels, blocks }, sums, Ok(())))
    };
    let mut tasks = (0..of_panels * of_blocks).map(task).listed_or()?;
    threads::for_each(threads, &mut tasks, |_, (tile, sums, result)| {
        *result = long_products(weights, inputs, d_sums, tile, sums);
    });
    for (Tile { panels, blocks }, sums, result) in tasks {
        result?;
        let (first, held) = (panels.start * tile_rows, panels.len() * tile_rows);
        for (n, block) in blocks.enumerate() {
            let filled = lanes.min(weights.units - block * lanes);
            for row in first..(first + held).min(weights.features + 1) {
                let from = &sums[(n * held + row - first) * lanes..][..filled];
                if row < weights.features {
                    let at = row * weights.units + block * lanes;
                    d_kernel[at..][..filled].copy_from_slice(from);
                } else if let Some(d_bias) = &mut d_bias {
                    d_bias[block * lanes..][..filled].copy_from_slice(from);
                }
            }
        }
    }
    Ok(())
}

/// Part of a weights' gradient: panels of its rows, blocks of its columns.
struct Tile {
    panels: Range<usize>,
    blocks: Range<usize>,
}

fn long_products<T: Element>(
    weights: &Weights<T>,
    inputs: View<'_, T>,
    d_sums: &[T],
    Tile { panels, blocks }: &Tile,
    sums: &mut [T],
) -> Result<()> {
    let tile_rows = weights.level.rows::<T>();
    let (lanes, stride) = (weights.level.lanes::<T>(), row_stride(weights.units));
    let rows = inputs.shape()[0];
    let most = CHUNK_ROWS.min(rows);
    let mut left = Buffer::zeroed(panels.len() * most * tile_rows)?;
    let mut right = Buffer::unfilled(blocks.len() * most * lanes)?;
    for first in (0..rows).step_by(CHUNK_ROWS) {
        let depth = CHUNK_ROWS.min(rows - first);
        let range = first..first + depth;
        match tile_rows {
            3 => stage::<T, 3>(inputs, range, panels.clone(), &mut left),
            6 => stage::<T, 6>(inputs, range, panels.clone(), &mut left),
            rows => unreachable!("a tile of {rows} rows"),
        }
        for k in 0..depth {
            for (n, block) in blocks.clone().enumerate() {
                let from = &d_sums[(first + k) * stride + block * lanes..][..lanes];
                right[(n * depth + k) * lanes..][..lanes].copy_from_slice(from);
            }
        }
        let right = &right[..blocks.len() * depth * lanes];
        let product = LongProduct {
            left: &left[..panels.len() * depth * tile_rows],
            depth,
            right: &[Stretch { slots: right, rows: depth, first: 0, length: depth }],
            width: 1,
            slots: (0, 1),
            blocks: 0..blocks.len(),
            sums,
        };
        T::dispatch(weights.level, product);
    }
    Ok(())
}

/// Stages some rows of the inputs for the weights' gradient.
fn stage<T: Element, const MR: usize>(
    inputs: View<'_, T>,
    rows: Range<usize>,
    panels: Range<usize>,
    left: &mut [T],
) {
    let mut staging = Staging::<T, MR>::new(left, rows.len(), panels);
    let size = (rows.len(), inputs.shape()[2]);
    staging.add(size, |n| inputs.row(rows.start + n, 0));
}

fn expect(argument: &'static str, expected: [usize; 3], received: [usize; 3]) -> Result<()> {
    if expected == received {
        return Ok(());
    }
    Err(Error::shape(argument, [expected[0], expected[2]], [received[0], received[2]]))
}

/// `gradients *= f'`, whole vectors.
struct Slope<'a, T> {
    activation: Activation,
    kept: &'a [T],
    gradients: &'a mut [T],
}

impl<T: Element> Kernel<T> for Slope<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(self, s: S) {
        for (d, &kept) in s.vectors_mut(self.gradients).iter_mut().zip(s.vectors(self.kept)) {
            *d = s.mul(*d, self.activation.derivative(s, kept).1);
        }
    }
}
