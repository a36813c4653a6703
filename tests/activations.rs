//! Accuracy of the activations on every instruction set, and their values at the edges.

use ferrnn::kernels::activation::{Activation, sigmoid, tanh};
use ferrnn::machine::simd::{Element, Kernel, Level, Simd};

struct Map<'a, T> {
    function: Option<Activation>,
    is_tanh: bool,
    values: &'a mut [T],
}

impl<T: Element> Kernel<T> for Map<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd<T>>(self, s: S) {
        for values in self.values.chunks_mut(S::LANES) {
            let x = s.load_partial(values);
            let y = match self.function {
                Some(activation) => activation.apply(s, x),
                None if self.is_tanh => tanh(s, x),
                None => sigmoid(s, x),
            };
            s.store_partial(y, values);
        }
    }
}

fn map<T: Element>(level: Level, is_tanh: bool, mut values: Vec<T>) -> Vec<T> {
    T::dispatch(level, Map { function: None, is_tanh, values: &mut values });
    values
}

/// Distance in units of the last place of the exact result, rounded to `f32`.
fn ulps_f32(exact: f64, received: f32) -> f64 {
    let near = (exact as f32).abs().max(f32::MIN_POSITIVE);
    (f64::from(received) - exact).abs() / f64::from(near.next_up() - near)
}

fn ulps_f64(exact: f64, received: f64) -> f64 {
    let near = exact.abs().max(f64::MIN_POSITIVE);
    (received - exact).abs() / (near.next_up() - near)
}

/// Every `step`-th float, of both signs, some at a time.
fn floats(step: usize) -> impl Iterator<Item = Vec<f32>> {
    let span = (1 << 19) * step;
    (0..0x7f80_0000_usize).step_by(span).map(move |first| {
        let positive = (first..0x7f80_0000.min(first + span)).step_by(step);
        positive.map(|bits| f32::from_bits(bits as u32)).flat_map(|x| [x, -x]).collect()
    })
}

fn exact_sigmoid(x: f64) -> f64 {
    if x < 0.0 { x.exp() / (1.0 + x.exp()) } else { 1.0 / (1.0 + (-x).exp()) }
}

#[test]
#[cfg_attr(miri, ignore = "millions of floats take hours there")]
fn single_precision_is_good_to_three_ulp() {
    check_single_precision(997);
}

#[test]
#[ignore = "every float takes minutes: for `make deep`"]
fn single_precision_is_good_to_three_ulp_everywhere() {
    check_single_precision(1);
}

fn check_single_precision(step: usize) {
    for level in Level::all() {
        for is_tanh in [true, false] {
            let exact = if is_tanh { f64::tanh } else { exact_sigmoid };
            for part in floats(step) {
                let received = map(level, is_tanh, part.clone());
                for (&x, y) in part.iter().zip(received) {
                    let exact = exact(f64::from(x));
                    // Results below the normal numbers are zero.
                    let ulps =
                        if exact.abs() < 1.2e-38 && y == 0.0 { 0.0 } else { ulps_f32(exact, y) };
                    assert!(ulps <= 3.0, "{level:?} tanh={is_tanh} {x:e}: {y:e}, {ulps} ulp");
                }
            }
        }
    }
}

#[test]
fn double_precision_is_good_to_four_ulp() {
    let values: Vec<f64> = (-4000..4000).map(|n| f64::from(n) * 0.005_003 + 1e-4).collect();
    let small: Vec<f64> = (0..600).map(|n| 1.7_f64.powi(-n)).collect();
    let values = [values, small].concat();
    for level in Level::all() {
        for is_tanh in [true, false] {
            let exact = if is_tanh { libm::tanh } else { exact_sigmoid };
            for (&x, y) in values.iter().zip(map(level, is_tanh, values.clone())) {
                let ulps = ulps_f64(exact(x), y);
                assert!(ulps <= 4.0, "{level:?} tanh={is_tanh} {x:e}: {y:e}, {ulps} ulp");
            }
        }
    }
}

fn edges<T: Element>(level: Level) {
    let infinity = f64::INFINITY;
    let of = |values: [f64; 6]| values.map(T::of).to_vec();
    let x = of([infinity, -infinity, 1e30, -1e30, 0.0, -0.0]);
    let wide = |values: Vec<T>| values.iter().map(|v| v.wide()).collect::<Vec<_>>();
    let received = wide(map(level, true, x.clone()));
    assert_eq!(received, [1.0, -1.0, 1.0, -1.0, 0.0, 0.0]);
    assert!(received[5].is_sign_negative());
    assert_eq!(wide(map(level, false, x)), [1.0, 0.0, 1.0, 0.0, 0.5, 0.5]);
    for (name, activation) in Activation::ALL {
        let mut values = vec![T::of(f64::NAN); 5];
        let kernel = Map { function: Some(activation), is_tanh: false, values: &mut values };
        T::dispatch(level, kernel);
        assert!(values.iter().all(|v| v.wide().is_nan()), "{name} hides a NaN");
    }
}

#[test]
fn edges_are_exact() {
    for level in Level::all() {
        edges::<f32>(level);
        edges::<f64>(level);
    }
}

#[test]
fn exponential_reaches_its_limits() {
    for level in Level::all() {
        let mut values = vec![88.7_f32, 89.0, -87.0, -110.0, 1.0, f32::INFINITY];
        let function = Some(Activation::Exponential);
        f32::dispatch(level, Map { function, is_tanh: false, values: &mut values });
        assert!((values[0] / 88.7_f32.exp() - 1.0).abs() < 1e-6);
        assert!(values[1] == f32::INFINITY && values[3] == 0.0 && values[5] == f32::INFINITY);
        assert!((values[2] / (-87.0_f32).exp() - 1.0).abs() < 1e-6);
        assert!((values[4] - 1.0_f32.exp()).abs() < 1e-6);
    }
}
