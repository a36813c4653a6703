//! Crossentropies of logits, row by row: numbers whose softmax (of binary labels, whose sigmoid) are the
//! probabilities, so that none of them is clipped.

use crate::machine::simd::Element;

/// The sum over a row's entries, each `max(x, 0) - x y + log(1 + exp(-|x|))`; `slopes` take the derivatives
/// times `share`.
pub(super) fn binary<T: Element>(
    label: impl Fn(T) -> f64,
    (targets, row): (&[T], &[T]),
    share: f64,
    slopes: &mut [T],
) -> f64 {
    let mut sum = 0.0;
    for (at, (&y, &x)) in targets.iter().zip(row).enumerate() {
        let (y, x) = (label(y), x.wide());
        let decay = (-x.abs()).exp();
        sum += x.max(0.0) - x * y + decay.ln_1p();
        if let Some(to) = slopes.get_mut(at) {
            let sigmoid = if x >= 0.0 { 1.0 } else { decay } / (1.0 + decay);
            *to = T::of((sigmoid - y) * share);
        }
    }
    sum
}

/// The largest of a row, and the sum of the exponentials of what is below it; `slopes` take these.
fn exponentials<T: Element>(row: &[T], slopes: &mut [T]) -> (f64, f64) {
    let most = row.iter().map(|x| x.wide()).fold(f64::NEG_INFINITY, f64::max);
    let mut total = 0.0;
    for (at, x) in row.iter().enumerate() {
        let raised = (x.wide() - most).exp();
        total += raised;
        if let Some(to) = slopes.get_mut(at) {
            *to = T::of(raised);
        }
    }
    (most, total)
}

/// `-sum(y log softmax(x))` of a row.
pub(super) fn one_hot<T: Element>(
    label: impl Fn(T) -> f64,
    (targets, row): (&[T], &[T]),
    share: f64,
    slopes: &mut [T],
) -> f64 {
    let (most, total) = exponentials(row, slopes);
    let (log, mut sum, mut labels) = (total.ln(), 0.0, 0.0);
    for (&y, &x) in targets.iter().zip(row) {
        let y = label(y);
        if y != 0.0 {
            sum -= y * (x.wide() - most - log);
            labels += y;
        }
    }
    for (to, &y) in slopes.iter_mut().zip(targets) {
        *to = T::of((to.wide() / total * labels - label(y)) * share);
    }
    sum
}

/// `-log softmax(x)` at the label of a row.
pub(super) fn number<T: Element>(label: usize, row: &[T], share: f64, slopes: &mut [T]) -> f64 {
    let (most, total) = exponentials(row, slopes);
    for (at, to) in slopes.iter_mut().enumerate() {
        *to = T::of((to.wide() / total - f64::from(u8::from(at == label))) * share);
    }
    total.ln() - (row[label].wide() - most)
}
