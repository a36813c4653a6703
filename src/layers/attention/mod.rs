//! Attention: means of values, weighted by how well keys fit a query.
//!
//! Products are those of the register tile, so that a sample gets the same bits alone and in a batch.

mod given;
mod head;

pub use given::{Attention, Seen, Sizes, Slopes};
use head::Head;

use crate::error::Result;
use crate::machine::lists;
use crate::machine::simd::Element;
use crate::machine::threads::{self, Ask, Stop};

/// What is done with one sample's parts of three arrays.
type Work<'a, T> = &'a (dyn Fn(usize, &mut [&mut [T]; 3]) -> Result<f64> + Sync);

/// Works through all samples; returns the sum of what each returns.
#[inline(never)]
fn by_sample<T: Element>(
    sizes: Sizes,
    arrays: [&mut [T]; 3],
    work: Work<'_, T>,
    stop: Ask<'_>,
) -> Result<f64> {
    let samples = sizes.samples;
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
    threads::for_each(sizes.threads()?, &mut tasks, |worker, (sample, parts, result)| {
        *result = stop.poll(worker).and_then(|()| work(*sample, parts));
    });
    tasks.into_iter().try_fold(0.0, |sum, (.., result)| Ok(sum + result?))
}

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
    let work = |sample: usize, [weights, outputs, _]: &mut [&mut [T]; 3]| {
        for (head, weights) in Head::all(of, sample)?.zip(weights.chunks_exact_mut(of_head)) {
            head.forward(weights, outputs)?;
        }
        Ok(0.0)
    };
    by_sample(of.sizes, [weights, outputs, &mut []], &work, stop).map(|_| ())
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
    let Slopes { queries, keys, values } = slopes;
    let any = of.check(weights.len(), d_outputs.len())?;
    let by_weights = d_weights.map_or(weights.len(), <[T]>::len);
    let received = [queries.len(), keys.len(), values.len(), by_weights, d_outputs.len()];
    of.sizes.check(received, None)?;
    if !any {
        for slopes in [queries, keys, values] {
            slopes.fill(T::ZERO);
        }
        return Ok(0.0);
    }
    let (of_head, width) = (of.sizes.queries * of.sizes.keys, d_outputs.len() / of.sizes.samples);
    let work = |sample: usize, [queries, keys, values]: &mut [&mut [T]; 3]| {
        let mut slopes = Slopes { queries, keys, values };
        let d_outputs = &d_outputs[sample * width..][..width];
        Head::all(of, sample)?.try_fold(0.0, |sum, head| {
            let own = (sample * of.sizes.heads + head.number) * of_head..;
            let weights = &weights[own.clone()][..of_head];
            let more = d_weights.map(|all| &all[own][..of_head]);
            Ok(sum + head.backward(weights, (d_outputs, more), &mut slopes, by_scale)?)
        })
    };
    by_sample(of.sizes, [queries, keys, values], &work, stop)
}
