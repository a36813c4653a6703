//! Updates of weights by their gradients, all weights of a model in one call.
//!
//! Every element is computed by itself, product and sum rounded one after the other: results are
//! the same on every instruction set and for any number of threads, and equal to the equations
//! written with arrays of `T`.

mod rule;

use crate::error::{Error, Result};
use crate::machine::lists;
use crate::machine::simd::{Element, Kernel, Level, MAX_LANES, Simd};
use crate::machine::threads;

pub use rule::Rule;

/// Elements that one thread updates at a time: a few arrays of them fit in the second cache.
const PIECE: usize = 1 << 14;
/// Multiply-adds that take as long as moving one element of one array.
const COST: usize = 12;
/// Vectors whose squares are summed in `T` before they are added in `f64`.
const STRETCH: usize = 32;

/// A weight, its gradient, and what the optimizer keeps for it. The rule says how many slots it
/// uses; the others are empty.
pub struct Target<'a, T> {
    /// What is updated.
    pub weight: &'a mut [T],
    /// Its gradient.
    pub gradient: &'a [T],
    /// What the gradient is multiplied by first, to clip it.
    pub scale: Option<f64>,
    /// Momentum; momentum and velocity; these and the largest velocity; or velocity, then momentum
    /// and mean if the rule has them.
    pub slots: [&'a mut [T]; 3],
}

/// Updates every target in place; `decay` of a weight is subtracted first.
///
/// # Errors
/// If the arrays of a target differ in length.
pub fn update<T: Element>(
    level: Option<Level>,
    rule: Rule,
    decay: Option<f64>,
    targets: Vec<Target<'_, T>>,
) -> Result<()> {
    let level = level.map_or_else(Level::current, Ok)?;
    let (mut pieces, mut elements) = (lists::room(targets.len())?, 0_usize);
    for target in targets {
        elements = elements.saturating_add(target.weight.len());
        check(rule, &target)?;
        cut(rule, target, &mut pieces)?;
    }
    let work = elements.saturating_mul(COST * (2 + rule.slots()));
    threads::for_each(threads::worth(work)?, &mut pieces, |_, target| {
        T::dispatch(level, Update { rule, decay, target });
    });
    Ok(())
}

fn check<T>(rule: Rule, target: &Target<'_, T>) -> Result<()> {
    let len = target.weight.len();
    if target.gradient.len() != len {
        return Err(Error::shape("gradients", [len], [target.gradient.len()]));
    }
    match target.slots[..rule.slots()].iter().find(|slot| slot.len() != len) {
        Some(wrong) => Err(Error::shape("slots", [len], [wrong.len()])),
        None => Ok(()),
    }
}

/// Cuts a target into pieces of `PIECE` elements.
fn cut<'a, T>(rule: Rule, target: Target<'a, T>, pieces: &mut Vec<Target<'a, T>>) -> Result<()> {
    let Target { mut weight, mut gradient, scale, mut slots } = target;
    let used = rule.slots();
    while weight.len() > PIECE {
        let (ahead, rest) = weight.split_at_mut(PIECE);
        let (by, others) = gradient.split_at(PIECE);
        let mut share: [&mut [T]; 3] = Default::default();
        for (share, slot) in share.iter_mut().zip(&mut slots[..used]) {
            let (first, last) = std::mem::take(slot).split_at_mut(PIECE);
            (*share, *slot) = (first, last);
        }
        lists::push(pieces, Target { weight: ahead, gradient: by, scale, slots: share })?;
        (weight, gradient) = (rest, others);
    }
    lists::push(pieces, Target { weight, gradient, scale, slots })
}

/// The sum of the squares of all elements. Its order depends on the instruction set alone.
///
/// # Errors
/// If `FERRNN_SIMD` names an instruction set that this CPU does not have.
pub fn squared_norm<T: Element>(level: Option<Level>, array: &[T]) -> Result<f64> {
    let level = level.map_or_else(Level::current, Ok)?;
    Ok(T::dispatch(level, SquaredNorm { array }))
}

struct SquaredNorm<'a, T> {
    array: &'a [T],
}

impl<T: Element> Kernel<T> for SquaredNorm<'_, T> {
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd<T>>(self, s: S) -> f64 {
        let mut total = 0.0;
        for stretch in self.array.chunks(STRETCH * S::LANES) {
            let mut sums = s.splat(T::ZERO);
            for values in stretch.chunks(S::LANES) {
                let v = s.load_partial(values);
                sums = s.mul_add(v, v, sums);
            }
            let mut lanes = [T::ZERO; MAX_LANES];
            s.store(sums, &mut lanes);
            total += lanes[..S::LANES].iter().map(|lane| lane.wide()).sum::<f64>();
        }
        total
    }
}

/// Updates one piece.
struct Update<'a, 'b, T> {
    rule: Rule,
    decay: Option<f64>,
    target: &'a mut Target<'b, T>,
}

impl<T: Element> Kernel<T> for Update<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(self, s: S) {
        let Self { rule, decay, target } = self;
        match rule {
            Rule::Handed => target.slots[0].copy_from_slice(target.gradient),
            Rule::Descent { rate } => descend(s, target, decay, rate),
            Rule::Momentum { rate, momentum, nesterov: false } => {
                roll::<T, S, false>(s, target, decay, rate, momentum);
            }
            Rule::Momentum { rate, momentum, nesterov: true } => {
                roll::<T, S, true>(s, target, decay, rate, momentum);
            }
            Rule::Adam { rate, betas, epsilon, amsgrad: false } => {
                adapt::<T, S, false>(s, target, decay, rate, betas, epsilon);
            }
            Rule::Adam { rate, betas, epsilon, amsgrad: true } => {
                adapt::<T, S, true>(s, target, decay, rate, betas, epsilon);
            }
            Rule::Nadam { rate, ahead, correction, betas, epsilon } => {
                look_ahead(s, target, decay, [rate, ahead, correction, epsilon], betas);
            }
            Rule::MeanSquare { rate, rho, momentum, epsilon, centered } => {
                divide(s, target, decay, [rate, rho, momentum, epsilon], centered);
            }
        }
    }
}

/// What all rules begin with: the weights less their decay, and the scaled gradients.
struct Start<V> {
    decay: Option<V>,
    scale: Option<V>,
}

impl<V: Copy> Start<V> {
    #[inline(always)]
    fn new<T: Element, S: Simd<T, V = V>>(s: S, decay: Option<f64>, scale: Option<f64>) -> Self {
        Self {
            decay: decay.map(|decay| s.splat(T::of(decay))),
            scale: scale.map(|scale| s.splat(T::of(scale))),
        }
    }

    #[inline(always)]
    fn weight<T: Element, S: Simd<T, V = V>>(&self, s: S, from: &[T]) -> V {
        let w = s.load_partial(from);
        self.decay.map_or(w, |decay| s.sub(w, s.mul(w, decay)))
    }

    #[inline(always)]
    fn gradient<T: Element, S: Simd<T, V = V>>(&self, s: S, from: &[T]) -> V {
        let g = s.load_partial(from);
        self.scale.map_or(g, |scale| s.mul(g, scale))
    }
}

/// Moves a slot a share of the way towards values; gives what it is then.
#[inline(always)]
fn towards<T: Element, S: Simd<T>>(s: S, slot: &mut [T], values: S::V, share: S::V) -> S::V {
    let before = s.load_partial(slot);
    let after = s.add(before, s.mul(s.sub(values, before), share));
    s.store_partial(after, slot);
    after
}

#[inline(always)]
fn descend<T: Element, S: Simd<T>>(
    s: S,
    target: &mut Target<'_, T>,
    decay: Option<f64>,
    rate: f64,
) {
    let start = Start::new(s, decay, target.scale);
    let rate = s.splat(T::of(rate));
    let gradients = target.gradient.chunks(S::LANES);
    for (weight, gradient) in target.weight.chunks_mut(S::LANES).zip(gradients) {
        let step = s.mul(start.gradient(s, gradient), rate);
        s.store_partial(s.sub(start.weight(s, weight), step), weight);
    }
}

#[inline(always)]
fn roll<T: Element, S: Simd<T>, const NESTEROV: bool>(
    s: S,
    target: &mut Target<'_, T>,
    decay: Option<f64>,
    rate: f64,
    momentum: f64,
) {
    let start = Start::new(s, decay, target.scale);
    let (rate, kept) = (s.splat(T::of(rate)), s.splat(T::of(momentum)));
    let [momenta, ..] = &mut target.slots;
    let gradients = target.gradient.chunks(S::LANES);
    let momenta = momenta.chunks_mut(S::LANES);
    for ((weight, gradient), momentum) in
        target.weight.chunks_mut(S::LANES).zip(gradients).zip(momenta)
    {
        let step = s.mul(start.gradient(s, gradient), rate);
        let m = s.sub(s.mul(s.load_partial(momentum), kept), step);
        s.store_partial(m, momentum);
        let w = start.weight(s, weight);
        let w = if NESTEROV { s.add(s.sub(w, step), s.mul(m, kept)) } else { s.add(w, m) };
        s.store_partial(w, weight);
    }
}

#[inline(always)]
fn adapt<T: Element, S: Simd<T>, const AMSGRAD: bool>(
    s: S,
    target: &mut Target<'_, T>,
    decay: Option<f64>,
    rate: f64,
    betas: [f64; 2],
    epsilon: f64,
) {
    let start = Start::new(s, decay, target.scale);
    let [momentum_share, velocity_share] = betas.map(|beta| s.splat(T::of(1.0 - beta)));
    let (rate, epsilon) = (s.splat(T::of(rate)), s.splat(T::of(epsilon)));
    let [momenta, velocities, largest] = &mut target.slots;
    let lanes = S::LANES;
    for (n, weight) in target.weight.chunks_mut(lanes).enumerate() {
        let (at, len) = (n * lanes, weight.len());
        let g = start.gradient(s, &target.gradient[at..][..len]);
        let m = towards(s, &mut momenta[at..][..len], g, momentum_share);
        let mut v = towards(s, &mut velocities[at..][..len], s.mul(g, g), velocity_share);
        if AMSGRAD {
            let largest = &mut largest[at..][..len];
            v = s.max(s.load_partial(largest), v);
            s.store_partial(v, largest);
        }
        let step = s.div(s.mul(m, rate), s.add(s.sqrt(v), epsilon));
        s.store_partial(s.sub(start.weight(s, weight), step), weight);
    }
}

#[inline(always)]
fn look_ahead<T: Element, S: Simd<T>>(
    s: S,
    target: &mut Target<'_, T>,
    decay: Option<f64>,
    rates: [f64; 4],
    betas: [f64; 2],
) {
    let start = Start::new(s, decay, target.scale);
    let [momentum_share, velocity_share] = betas.map(|beta| s.splat(T::of(1.0 - beta)));
    let [rate, ahead, correction, epsilon] = rates.map(|number| s.splat(T::of(number)));
    let [momenta, velocities, ..] = &mut target.slots;
    let lanes = S::LANES;
    for (n, weight) in target.weight.chunks_mut(lanes).enumerate() {
        let (at, len) = (n * lanes, weight.len());
        let g = start.gradient(s, &target.gradient[at..][..len]);
        let m = towards(s, &mut momenta[at..][..len], g, momentum_share);
        let v = towards(s, &mut velocities[at..][..len], s.mul(g, g), velocity_share);
        let root = s.add(s.sqrt(s.div(v, correction)), epsilon);
        let step = s.div(s.add(s.mul(m, rate), s.mul(g, ahead)), root);
        s.store_partial(s.sub(start.weight(s, weight), step), weight);
    }
}

#[inline(always)]
fn divide<T: Element, S: Simd<T>>(
    s: S,
    target: &mut Target<'_, T>,
    decay: Option<f64>,
    [rate, rho, momentum, epsilon]: [f64; 4],
    centered: bool,
) {
    let start = Start::new(s, decay, target.scale);
    let splat = |number: f64| s.splat(T::of(number));
    let (rate, share, kept, epsilon) =
        (splat(rate), splat(1.0 - rho), splat(momentum), splat(epsilon));
    let rolls = momentum != 0.0;
    let [velocities, second, third] = &mut target.slots;
    let (momenta, means) = if rolls { (second, third) } else { (third, second) };
    let lanes = S::LANES;
    for (n, weight) in target.weight.chunks_mut(lanes).enumerate() {
        let (at, len) = (n * lanes, weight.len());
        let g = start.gradient(s, &target.gradient[at..][..len]);
        let mut v = towards(s, &mut velocities[at..][..len], s.mul(g, g), share);
        if centered {
            let a = towards(s, &mut means[at..][..len], g, share);
            v = s.sub(v, s.mul(a, a));
        }
        let mut step = s.mul(s.div(g, s.sqrt(s.add(v, epsilon))), rate);
        if rolls {
            let momentum = &mut momenta[at..][..len];
            step = s.add(s.mul(s.load_partial(momentum), kept), step);
            s.store_partial(step, momentum);
        }
        s.store_partial(s.sub(start.weight(s, weight), step), weight);
    }
}
