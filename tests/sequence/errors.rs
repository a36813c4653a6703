//! What is refused, and with which message.

use ferrnn::cells::CellKind;
use ferrnn::error::Error;
use ferrnn::kernels::int8::MOST_DEPTH;
use ferrnn::layers::sequence::{
    Dropout, Options, Precision, Problem, Raw, Results, Weights, forward,
};
use ferrnn::machine::memory::{View, ViewMut};
use ferrnn::machine::simd::Level;
use proptest::prelude::*;

fn weights() -> Weights<f32> {
    let kernel = vec![0.1; 3 * 8];
    let recurrent_kernel = vec![0.1; 2 * 8];
    let raw = Raw {
        kernel: &kernel,
        recurrent_kernel: &recurrent_kernel,
        vectors: &[],
        bias: None,
        projection: None,
    };
    Weights::new(CellKind::Lstm, Options::default(), 3, 2, raw).unwrap()
}

fn message<T>(result: Result<T, Error>) -> String {
    result.err().expect("an error").to_string()
}

#[test]
fn errors_name_the_argument_and_both_shapes() {
    let weights = weights();
    let array = vec![0.0; 2 * 5 * 4];
    let wrong = View::contiguous(&array, [2, 5, 4]).unwrap();
    assert_eq!(
        message(Problem::new(&weights, wrong)),
        "`inputs`: expected shape [2, 5, 3], received [2, 5, 4]"
    );
    let array = vec![0.0; 2 * 5 * 3];
    let problem = || Problem::new(&weights, View::contiguous(&array, [2, 5, 3]).unwrap()).unwrap();
    let state = View::contiguous(&array[..4], [2, 1, 2]).unwrap();
    assert!(message(problem().initial_state(vec![state])).contains("`initial_state`"));
    let other = View::contiguous(&array[..6], [3, 1, 2]).unwrap();
    assert_eq!(
        message(problem().initial_state(vec![other, other])),
        "`initial_state`: expected shape [2, 2], received [3, 2]"
    );
    let mask = vec![true; 8];
    assert_eq!(
        message(problem().mask(View::contiguous(&mask, [2, 4, 1]).unwrap())),
        "`mask`: expected shape [2, 5], received [2, 4]"
    );
    let dropout = View::contiguous(&array[..18], [3, 2, 3]).unwrap();
    let dropout = Dropout { inputs: Some(dropout), recurrent: None };
    assert_eq!(
        message(problem().dropout(dropout)),
        "`input_dropout`: expected shape [1 or 4, 2, 3], received [3, 2, 3]"
    );
}

#[test]
fn weights_of_the_wrong_size_are_refused() {
    let raw = |kernel: &[f32], recurrent_kernel: &[f32], bias: Option<&[f32]>| {
        let raw = Raw { kernel, recurrent_kernel, vectors: &[], bias, projection: None };
        message(Weights::new(CellKind::Gru, Options::default(), 3, 2, raw))
    };
    assert!(raw(&[0.0; 17], &[0.0; 12], None).starts_with("`kernel`"));
    assert!(raw(&[0.0; 18], &[0.0; 13], None).starts_with("`recurrent_kernel`"));
    assert!(raw(&[0.0; 18], &[0.0; 12], Some(&[0.0; 6])).starts_with("`bias`"));
    let none = Raw::<f32> {
        kernel: &[],
        recurrent_kernel: &[],
        vectors: &[],
        bias: None,
        projection: None,
    };
    let zero = Weights::new(CellKind::Gru, Options::default(), 3, 0, none);
    assert_eq!(message(zero), "`units`: expected a positive integer, received 0");
}

#[test]
fn levels_have_names() {
    for level in Level::all() {
        assert_eq!(Level::named(level.name()).unwrap().name(), level.name());
    }
    assert!(message(Level::named("mmx")).starts_with("`FERRNN_SIMD`: expected one of portable"));
}

proptest! {
    /// Any sizes give a view exactly if the array has their elements.
    #[test]
    fn views_check_their_size(shape in prop::array::uniform3(0_usize..6), len in 0_usize..130) {
        let array = vec![0.0_f32; len];
        let fits = shape.iter().product::<usize>() == len;
        prop_assert_eq!(View::contiguous(&array, shape).is_ok(), fits);
    }
}

fn have_no_gradients(precision: Precision) {
    let options = Options { precision, ..Options::default() };
    let (kernel, recurrent) = ([0.5_f32; 2 * 3], [0.5_f32; 3 * 3]);
    let raw = Raw {
        kernel: &kernel,
        recurrent_kernel: &recurrent,
        vectors: &[],
        bias: None,
        projection: None,
    };
    let weights = Weights::new(CellKind::SimpleRnn, options, 2, 3, raw).unwrap();
    let inputs = [1.0; 2];
    let problem = Problem::new(&weights, View::contiguous(&inputs, [1, 1, 2]).unwrap()).unwrap();
    let (mut outputs, mut state) = ([0.0; 3], [0.0; 3]);
    let results = Results {
        outputs: ViewMut::contiguous(&mut outputs, [1, 1, 3]).unwrap(),
        state: vec![ViewMut::contiguous(&mut state, [1, 1, 3]).unwrap()],
    };
    let error = forward(&weights, &problem, results, true, &|| false).err().unwrap();
    assert!(error.to_string().contains("full precision"), "{error}");

    let raw = Raw {
        kernel: &[0.5_f64; 6],
        recurrent_kernel: &[0.5; 9],
        vectors: &[],
        bias: None,
        projection: None,
    };
    let error = Weights::new(CellKind::SimpleRnn, options, 2, 3, raw).err().unwrap();
    let text = format!("expected full, for float64 weights, received {:?}", precision.name());
    assert!(error.to_string().contains(&text), "{error}");
}

#[test]
fn weights_of_few_bits_have_no_gradients() {
    have_no_gradients(Precision::Bfloat16);
    have_no_gradients(Precision::Int8);
}

#[test]
fn weights_without_a_scale_are_refused() {
    let options = Options { precision: Precision::Int8, ..Options::default() };
    for (kernel, recurrent, argument) in
        [([0.5, f32::NAN], [0.5], "kernel"), ([0.5, 1.0], [f32::NEG_INFINITY], "recurrent_kernel")]
    {
        let raw = Raw {
            kernel: &kernel,
            recurrent_kernel: &recurrent,
            vectors: &[],
            bias: None,
            projection: None,
        };
        let text = message(Weights::new(CellKind::SimpleRnn, options, 2, 1, raw));
        assert!(text.starts_with(&format!("`{argument}`: expected finite weights")), "{text}");
    }
    let many = MOST_DEPTH + 1;
    let kernel = vec![0.5_f32; many];
    let raw = Raw {
        kernel: &kernel,
        recurrent_kernel: &[0.5],
        vectors: &[],
        bias: None,
        projection: None,
    };
    let text = message(Weights::new(CellKind::SimpleRnn, options, many, 1, raw));
    assert!(text.contains("`kernel`: expected at most 133144 rows in int8"), "{text}");
}
