//! Attention: means of values, weighted by how well keys fit a query.
//!
//! Products are those of the register tile, so that a sample gets the same bits alone and in a batch.

mod additive;
mod given;
mod head;

pub use given::{Attention, Seen, Sizes, Slopes};
use head::{Head, dot};

use crate::error::{Error, Result};
use crate::layers::products::{by_sample, scale};
use crate::machine::memory::Buffer;
use crate::machine::simd::Element;
use crate::machine::threads::Ask;

/// Writes the weights `[samples, heads, queries, keys]`, before the noise, and the outputs
/// `[samples, queries, heads, of_value]`.
///
/// # Errors
/// If a shape does not fit, if memory runs out, or if `stop` said so.
pub fn forward<T: Element>(
    of: &Attention<'_, T>,
    weights: &mut [T],
    outputs: &mut [T],
    stop: Ask<'_>,
) -> Result<()> {
    if !of.check(weights.len(), outputs.len())? {
        weights.fill(T::ZERO);
        outputs.fill(T::ZERO);
        return Ok(());
    }
    let of_head = of.sizes.queries * of.sizes.keys;
    let work = |sample: usize, [weights, outputs, ..]: &mut [&mut [T]; 4]| {
        for (head, weights) in Head::all(of, sample)?.zip(weights.chunks_exact_mut(of_head)) {
            head.forward(weights, outputs)?;
        }
        Ok(0.0)
    };
    by_sample(
        of.sizes.samples,
        of.sizes.threads()?,
        [weights, outputs, &mut [], &mut []],
        &work,
        stop,
    )
    .map(|_| ())
}

/// Writes the gradients, from those with respect to the outputs and, if there are any, the weights;
/// returns that with respect to the scale if it is wanted, else 0.
///
/// # Errors
/// As [`forward`].
pub fn backward<T: Element>(
    of: &Attention<'_, T>,
    weights: &[T],
    (d_outputs, d_weights): (&[T], Option<&[T]>),
    slopes: Slopes<'_, T>,
    by_scale: bool,
    stop: Ask<'_>,
) -> Result<f64> {
    let Slopes { queries, keys, values, factors } = slopes;
    let any = of.check(weights.len(), d_outputs.len())?;
    let by_weights = d_weights.map_or(weights.len(), <[T]>::len);
    let received = [queries.len(), keys.len(), values.len(), by_weights, d_outputs.len()];
    of.sizes.check(received, None)?;
    if factors.len() != of.factors.len() {
        return Err(Error::shape("factors", [of.factors.len()], [factors.len()]));
    }
    if !any {
        for slopes in [queries, keys, values, factors] {
            slopes.fill(T::ZERO);
        }
        return Ok(0.0);
    }
    let (of_head, width) = (of.sizes.queries * of.sizes.keys, d_outputs.len() / of.sizes.samples);
    let additive = !factors.is_empty();
    if additive {
        queries.fill(T::ZERO);
        keys.fill(T::ZERO);
    }
    let work = |sample: usize, [queries, keys, values, factors]: &mut [&mut [T]; 4]| {
        let mut slopes = Slopes { queries, keys, values, factors };
        let d_outputs = &d_outputs[sample * width..][..width];
        let of_scale = Head::all(of, sample)?.try_fold(0.0, |sum, head| {
            let own = (sample * of.sizes.heads + head.number) * of_head..;
            let weights = &weights[own.clone()][..of_head];
            let more = d_weights.map(|all| &all[own][..of_head]);
            Ok(sum + head.backward(weights, (d_outputs, more), &mut slopes, by_scale)?)
        });
        if !additive {
            return of_scale;
        }
        let mut by_scale = 0.0;
        for (slopes, given) in [(slopes.queries, of.queries), (slopes.keys, of.keys)] {
            by_scale += dot(slopes, &given[sample * slopes.len()..][..slopes.len()]).wide();
            scale(slopes, of.scale);
        }
        of_scale.map(|_| by_scale)
    };
    // Of each sample, for each feature.
    let features = if additive { of.sizes.features } else { 0 };
    let mut by_factors = Buffer::zeroed(of.sizes.samples.saturating_mul(features))?;
    let arrays = [queries, keys, values, &mut by_factors[..]];
    let of_scale = by_sample(of.sizes.samples, of.sizes.threads()?, arrays, &work, stop)?;
    for (at, slope) in factors.iter_mut().enumerate() {
        let step = of.factors.len();
        let sum: f64 = by_factors[at..].iter().step_by(step).map(|part| part.wide()).sum();
        *slope = T::of(sum);
    }
    Ok(of_scale)
}
