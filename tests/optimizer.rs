//! Updates of weights on every instruction set: exactly, to the bit, what the equations give,
//! element by element, for any number of threads.

mod common;

use common::Random;
use ferrnn::error::Error;
use ferrnn::machine::simd::Level;
use ferrnn::machine::threads;
use ferrnn::training::optimizer::{Rule, Target, squared_norm, update};

const RULES: [Rule; 10] = [
    Rule::Handed,
    Rule::Descent { rate: 0.1 },
    Rule::Momentum { rate: 0.03, momentum: 0.9, nesterov: false },
    Rule::Momentum { rate: 0.03, momentum: 0.8, nesterov: true },
    Rule::Adam { rate: 0.01, betas: [0.9, 0.99], epsilon: 1e-7, amsgrad: false },
    Rule::Adam { rate: 0.02, betas: [0.7, 0.3], epsilon: 1e-3, amsgrad: true },
    Rule::Nadam { rate: 0.02, ahead: 0.03, correction: 0.2, betas: [0.8, 0.9], epsilon: 1e-3 },
    Rule::MeanSquare { rate: 0.01, rho: 0.9, momentum: 0.0, epsilon: 1e-7, centered: false },
    Rule::MeanSquare { rate: 0.02, rho: 0.8, momentum: 0.7, epsilon: 1e-3, centered: false },
    Rule::MeanSquare { rate: 0.03, rho: 0.7, momentum: 0.6, epsilon: 1e-2, centered: true },
];

/// One weight with its slots.
#[derive(Clone, Debug, PartialEq)]
struct State<T> {
    weight: Vec<T>,
    slots: [Vec<T>; 3],
}

macro_rules! element_by_element {
    ($name:ident, $type:ident) => {
        mod $name {
            use super::{Level, RULES, Random, Rule, State, Target, update};

            fn numbers(len: usize, seed: u64) -> Vec<$type> {
                Random(seed).numbers(len, 1.5).into_iter().map(|x| x as $type).collect()
            }

            /// Weights with slots, and gradients, of these sizes.
            pub fn states(sizes: &[usize], rule: Rule) -> (Vec<State<$type>>, Vec<Vec<$type>>) {
                let slot = |len: usize, n: usize| {
                    if n >= rule.slots() {
                        return Vec::new();
                    }
                    let numbers = numbers(len, 7 + n as u64).into_iter();
                    let square = |x: $type| match (rule, n) {
                        // The mean square is above the squared mean.
                        (Rule::MeanSquare { .. }, 0) => 9.0 + x * x,
                        (Rule::MeanSquare { .. }, _) | (_, 0) => x,
                        // The moments after the first are never negative.
                        _ => x * x,
                    };
                    numbers.map(square).collect()
                };
                let state = |&len: &usize| State {
                    weight: numbers(len, 1),
                    slots: [slot(len, 0), slot(len, 1), slot(len, 2)],
                };
                let gradients = sizes.iter().map(|&len| numbers(len, 3)).collect();
                (sizes.iter().map(state).collect(), gradients)
            }

            /// The equations, written for one element.
            pub fn expected(
                rule: Rule,
                [decay, scale]: [Option<f64>; 2],
                mut state: State<$type>,
                gradient: &[$type],
            ) -> State<$type> {
                for (n, &g) in gradient.iter().enumerate() {
                    let g = scale.map_or(g, |scale| g * scale as $type);
                    let before = state.weight[n];
                    let w = decay.map_or(before, |decay| before - before * decay as $type);
                    state.weight[n] = match rule {
                        Rule::Handed => {
                            state.slots[0][n] = gradient[n];
                            before
                        }
                        Rule::Descent { rate } => w - g * rate as $type,
                        Rule::Momentum { rate, momentum, nesterov } => {
                            let (step, kept) = (g * rate as $type, momentum as $type);
                            let m = state.slots[0][n] * kept - step;
                            state.slots[0][n] = m;
                            if nesterov { (w - step) + m * kept } else { w + m }
                        }
                        Rule::Adam { rate, betas, epsilon, amsgrad } => {
                            let [m, v] = [state.slots[0][n], state.slots[1][n]];
                            let m = m + (g - m) * (1.0 - betas[0]) as $type;
                            let v = v + (g * g - v) * (1.0 - betas[1]) as $type;
                            (state.slots[0][n], state.slots[1][n]) = (m, v);
                            let mut largest = v;
                            if amsgrad {
                                largest = state.slots[2][n].max(v);
                                state.slots[2][n] = largest;
                            }
                            w - m * rate as $type / (largest.sqrt() + epsilon as $type)
                        }
                        Rule::Nadam { rate, ahead, correction, betas, epsilon } => {
                            let [m, v] = [state.slots[0][n], state.slots[1][n]];
                            let m = m + (g - m) * (1.0 - betas[0]) as $type;
                            let v = v + (g * g - v) * (1.0 - betas[1]) as $type;
                            (state.slots[0][n], state.slots[1][n]) = (m, v);
                            let root = (v / correction as $type).sqrt() + epsilon as $type;
                            w - (m * rate as $type + g * ahead as $type) / root
                        }
                        Rule::MeanSquare { rate, rho, momentum, epsilon, centered } => {
                            let share = (1.0 - rho) as $type;
                            let v = &mut state.slots[0][n];
                            *v += (g * g - *v) * share;
                            let mut spread = *v;
                            if centered {
                                let mean = &mut state.slots[1 + usize::from(momentum != 0.0)][n];
                                *mean += (g - *mean) * share;
                                spread -= *mean * *mean;
                            }
                            let step = g / (spread + epsilon as $type).sqrt() * rate as $type;
                            if momentum == 0.0 {
                                w - step
                            } else {
                                let m = &mut state.slots[1][n];
                                *m = *m * momentum as $type + step;
                                w - *m
                            }
                        }
                    };
                }
                state
            }

            pub fn updated(
                level: Level,
                rule: Rule,
                [decay, scale]: [Option<f64>; 2],
                mut states: Vec<State<$type>>,
                gradients: &[Vec<$type>],
            ) -> Vec<State<$type>> {
                let mut targets = Vec::new();
                for (state, gradient) in states.iter_mut().zip(gradients) {
                    let slots = state.slots.each_mut().map(|slot| &mut slot[..]);
                    let weight = &mut state.weight[..];
                    targets.push(Target { weight, gradient, scale, slots });
                }
                update(Some(level), rule, decay, targets).unwrap();
                states
            }

            #[test]
            fn updates_follow_the_equations_to_the_bit() {
                for level in Level::all() {
                    for rule in RULES {
                        for options in [[None, None], [Some(0.01), None], [Some(0.02), Some(0.3)]] {
                            let (states, gradients) = states(&[1, 7, 33, 0, 64], rule);
                            let found = updated(level, rule, options, states.clone(), &gradients);
                            for (n, state) in states.into_iter().enumerate() {
                                let expected = expected(rule, options, state, &gradients[n]);
                                assert_eq!(found[n], expected, "{level:?} {rule:?} {options:?}");
                            }
                        }
                    }
                }
            }
        }
    };
}

element_by_element!(single, f32);
element_by_element!(double, f64);

#[test]
fn threads_and_pieces_change_no_bit() {
    let level = *Level::all().last().unwrap();
    for rule in RULES {
        let (states, gradients) = single::states(&[5, 300_001, 1 << 14, 40_000], rule);
        let options = [Some(0.01), Some(0.5)];
        let expected: Vec<_> = states
            .iter()
            .zip(&gradients)
            .map(|(state, gradient)| single::expected(rule, options, state.clone(), gradient))
            .collect();
        for count in [1, 3] {
            threads::set_count(count);
            let found = single::updated(level, rule, options, states.clone(), &gradients);
            assert!(found == expected, "{count} threads, {rule:?}");
        }
    }
}

#[test]
fn arrays_of_another_length_are_refused() {
    let (mut weight, mut short) = (vec![0.0; 4], vec![0.0; 3]);
    let gradient = vec![1.0; 4];
    let rule = Rule::Momentum { rate: 0.1, momentum: 0.5, nesterov: false };
    let slots = [&mut short[..], &mut [], &mut []];
    let target = Target { weight: &mut weight, gradient: &gradient, scale: None, slots };
    let error = update(None, rule, None, vec![target]).unwrap_err();
    assert!(matches!(error, Error::Shape { argument: "slots", .. }), "{error:?}");
    let slots = [&mut [][..], &mut [], &mut []];
    let target = Target { weight: &mut weight, gradient: &gradient[1..], scale: None, slots };
    let error = update(None, Rule::Descent { rate: 0.1 }, None, vec![target]).unwrap_err();
    assert!(matches!(error, Error::Shape { argument: "gradients", .. }), "{error:?}");
}

#[test]
fn squared_norms_are_accurate() {
    for level in Level::all() {
        for len in [0, 1, 5, 511, 512, 100_000] {
            let numbers = Random(2).numbers(len, 3.0);
            let exact: f64 = numbers.iter().map(|x| x * x).sum();
            let found = squared_norm(Some(level), &numbers).unwrap();
            assert!((found - exact).abs() <= 1e-13 * exact, "{level:?} {len}: {found} {exact}");
            let single: Vec<f32> = numbers.iter().map(|&x| x as f32).collect();
            let found = squared_norm(Some(level), &single).unwrap();
            assert!((found - exact).abs() <= 1e-6 * exact, "{level:?} {len}: {found} {exact}");
        }
    }
}
