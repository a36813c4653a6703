"""Whatever a layer may be given by mistake: a clear error, or a result that is defined."""

import numpy as np
import pytest

from each_case import each_case
from ferrnn.layers import GRU, LSTM, RNN, Dense, Dropout, Input, LSTMCell, SimpleRNN

LAYERS = [LSTM, GRU, SimpleRNN]
each_layer = each_case("kind", LAYERS)
GOOD = np.ones((2, 3, 5), "float32")


@each_layer
@each_case("shape", [(), (5,), (2, 5), (2, 3, 5, 1)])
@each_case("built", [False, True])
def test_wrong_rank(kind, shape, built):
    layer = kind(4, name="mine")
    if built:
        layer(GOOD)
    with pytest.raises(ValueError, match=rf"layer 'mine'.*ndim=3.*found ndim={len(shape)}"):
        layer(np.ones(shape))


@each_layer
def test_wrong_number_of_features(kind):
    layer = kind(4, name="mine")
    layer(GOOD)
    with pytest.raises(ValueError, match=r"layer 'mine'.*expected 5 features.*found 4"):
        layer(GOOD[:, :, :4])
    with pytest.raises(ValueError, match="at least one"):
        kind(4)(GOOD[:, :, :0])


@each_layer
@each_case("shape", [(1, 4), (3, 4), (2, 3), (2, 4, 1), (4,), ()])
def test_wrong_shape_of_a_state(kind, shape):
    layer = kind(4, name="mine")
    states = [np.zeros(shape)] * len(layer.state_size)
    with pytest.raises(ValueError, match=r"state 0 .*layer 'mine'.*\(2, 4\), received"):
        layer(GOOD, initial_state=states)


@each_layer
def test_wrong_number_of_states(kind):
    layer = kind(4, name="mine")
    with pytest.raises(ValueError, match=r"layer 'mine' must hold .* received 3"):
        layer(GOOD, initial_state=[np.zeros((2, 4))] * 3)


@each_layer
@each_case(
    "inputs",
    [
        GOOD.astype(complex),
        GOOD.astype("U3"),
        GOOD.astype(object),
        np.zeros((2, 3, 5), "datetime64[s]"),
        [[["a"]]],
    ],
)
def test_wrong_dtype_of_inputs(kind, inputs):
    with pytest.raises(TypeError, match="`inputs` of layer 'mine' must hold real numbers"):
        kind(4, name="mine")(inputs)


@each_layer
@each_case("dtype", ["bool", "int8", "uint64", "float16", "float64", "longdouble"])
def test_other_real_dtypes_are_cast(kind, dtype):
    layer = kind(4)
    outputs = layer(GOOD.astype(dtype))
    assert outputs.dtype == np.float32
    np.testing.assert_array_equal(outputs, layer(GOOD))


@each_layer
def test_wrong_dtype_of_a_state(kind):
    layer = kind(4, name="mine")
    states = [np.zeros((2, 4), complex)] * len(layer.state_size)
    with pytest.raises(TypeError, match="`initial_state` of layer 'mine' must hold real numbers"):
        layer(GOOD, initial_state=states)
    with pytest.raises(TypeError, match="`states` of layer 'mine' must hold real numbers"):
        layer.states = states


def test_ragged_lists_and_lists_with_states():
    with pytest.raises(ValueError, match=r"must be one array, received a list of.*pad_sequences"):
        LSTM(4)([[[1.0], [2.0, 3.0]]])
    with pytest.raises(ValueError, match="pass initial states of a recurrent layer"):
        LSTM(4)([GOOD, np.zeros((2, 4)), np.zeros((2, 4))])


@each_layer
@each_case("dtype", ["float16", "bfloat16", "int32", "mixed_float16", 3])
def test_wrong_dtype_of_a_layer(kind, dtype):
    with pytest.raises(ValueError, match="`dtype` must be 'float32' or 'float64', received"):
        kind(4, dtype=dtype)


def test_a_cell_of_another_dtype():
    with pytest.raises(ValueError, match="must be that of its cell, float32, received float64"):
        RNN(LSTMCell(4), dtype="float64")
    assert RNN(LSTMCell(4, dtype="float64"))(GOOD).dtype == np.float64
    with pytest.raises(ValueError, match="must have the dtype of the stack"):
        RNN([LSTMCell(4), LSTMCell(4, dtype="float64")])


@each_layer
@each_case("shape", [(2, 2), (2, 4), (1, 3), (3,), (2, 1, 3), (0, 3)])
def test_wrong_shape_of_a_mask(kind, shape):
    with pytest.raises(
        ValueError, match=r"`mask` of layer 'mine'.*\(2, 3\), possibly with more axes"
    ):
        kind(4, name="mine")(GOOD, mask=np.ones(shape, bool))


def test_wrong_dtype_of_a_mask():
    with pytest.raises(TypeError, match="`mask` of layer 'lstm' must be boolean"):
        LSTM(4)(GOOD, mask=np.full((2, 3), "a"))


@each_layer
@each_case("sequences", [False, True])
def test_no_rows(kind, sequences):
    layer = kind(4, return_sequences=sequences, return_state=True)
    outputs, *states = layer(GOOD[:0])
    assert outputs.shape == ((0, 3, 4) if sequences else (0, 4))
    assert all(state.shape == (0, 4) for state in states)


@each_layer
def test_no_steps_give_the_initial_state(kind):
    layer = kind(4, return_state=True)
    start = [np.full((2, 4), n + 1.0) for n in range(len(layer.state_size))]
    outputs, *states = layer(GOOD[:, :0], initial_state=start)
    np.testing.assert_array_equal(outputs, start[0])
    np.testing.assert_array_equal(states, start)
    assert kind(4, return_sequences=True)(GOOD[:, :0]).shape == (2, 0, 4)
    masked = kind(4)(GOOD[:, :0], mask=np.ones((2, 0), bool))
    assert not np.asarray(masked).any()


@each_layer
def test_nan_and_infinity_stay_in_their_rows(kind):
    layer = kind(4)
    clean = layer(GOOD)
    inputs = GOOD.copy()
    inputs[0, 1, 2] = np.nan
    outputs = layer(inputs)
    assert np.isnan(outputs[0]).all()
    np.testing.assert_array_equal(outputs[1], clean[1])
    inputs[0, 1, 2] = np.inf
    assert not np.isfinite(layer(inputs)[0]).all() or np.abs(layer(inputs)[0]).max() <= 1
    np.testing.assert_array_equal(layer(inputs)[1], clean[1])


@each_case("kind", [*LAYERS, Dense])
@each_case("units", [0, -3, 1.5, "4", None])
def test_bad_units(kind, units):
    with pytest.raises(ValueError, match="argument `units`, expected a positive integer, got"):
        kind(units)


@pytest.mark.parametrize("argument", ["lora_rank", "lora_alpha"])
def test_arguments_that_are_not_there_yet(argument):
    with pytest.raises(NotImplementedError, match=f"`{argument}` is not supported yet"):
        Dense(4, **{argument: 2})


@each_case("kind", [*LAYERS, Dense])
@each_case("part", ["kernel", "bias"])
def test_regularizers_and_constraints_of_unknown_names(kind, part):
    with pytest.raises(ValueError, match="Could not interpret regularizer identifier: 'l3'"):
        kind(4, **{f"{part}_regularizer": "l3"})
    with pytest.raises(ValueError, match="Could not interpret constraint identifier: 'round'"):
        kind(4, **{f"{part}_constraint": "round"})


@pytest.mark.parametrize("argument", ["time_major", "batch_input_shape", "weights", "unit"])
def test_unknown_arguments(argument):
    with pytest.raises(ValueError, match="Unrecognized keyword arguments passed to LSTM"):
        LSTM(4, **{argument: None})


@pytest.mark.parametrize("kind", [LSTM, Dense])
@pytest.mark.parametrize("argument", ["input_shape", "input_dim"])
def test_keras_2_shapes_warn(kind, argument):
    with pytest.warns(UserWarning, match="Do not pass an `input_shape`"):
        layer = kind(4, **{argument: 3 if argument == "input_dim" else (3,)})
    assert layer.input_shape_argument == (3,)


@pytest.mark.parametrize("name", ["a/b", 3])
def test_bad_names(name):
    with pytest.raises(ValueError, match="`name` must be a string without '/'"):
        LSTM(4, name=name)


@pytest.mark.parametrize("shape", [(), (5,)])
def test_dense_wants_two_axes(shape):
    with pytest.raises(ValueError, match="at least 2 axes"):
        Dense(3)(np.ones(shape))
    layer = Dense(3, name="mine")
    layer(GOOD)
    with pytest.raises(ValueError, match=f"layer 'mine'.*min_ndim=2, found ndim={len(shape)}"):
        layer(np.ones(shape))


def test_dense_wants_its_features():
    layer = Dense(3, name="mine")
    layer(GOOD)
    with pytest.raises(ValueError, match=r"layer 'mine'.*expected 5 features.*found 4"):
        layer(GOOD[..., :4])
    with pytest.raises(ValueError, match="known, positive number of features"):
        Dense(3)(GOOD[..., :0])


def test_dense_on_empty_nan_and_odd_arrays():
    layer = Dense(3, "softmax")
    assert layer(GOOD[:0]).shape == (0, 3, 3)
    inputs = np.arange(20.0, dtype="float32").reshape(4, 5)
    clean = layer(inputs)
    np.testing.assert_array_equal(layer(np.asfortranarray(inputs)), clean)
    np.testing.assert_array_equal(layer(inputs[::-2]), clean[::-2])
    np.testing.assert_array_equal(layer(inputs.astype(">f8")), clean)
    frozen = inputs.copy()
    frozen.flags.writeable = False
    np.testing.assert_array_equal(layer(frozen), clean)
    inputs[1, 1] = np.nan
    assert np.isnan(layer(inputs)[1]).all()
    np.testing.assert_array_equal(layer(inputs)[[0, 2, 3]], clean[[0, 2, 3]])


@pytest.mark.parametrize("rate", [-0.1, 1.1, "a", None, float("nan")])
def test_bad_rates(rate):
    with pytest.raises(ValueError, match="Invalid value received for argument `rate`"):
        Dropout(rate)


@each_case(
    ("arguments", "kind"),
    [
        ({}, ValueError),
        ({"shape": (3,), "batch_shape": (2, 3)}, ValueError),
        ({"shape": (-1,)}, ValueError),
        ({"shape": (2.5,)}, ValueError),
        ({"shape": 3}, ValueError),
        ({"shape": (3,), "dtype": "complex64"}, ValueError),
        ({"batch_shape": (2, 3), "batch_size": 2}, ValueError),
        ({"shape": (3,), "sparse": True}, ValueError),
    ],
)
def test_bad_inputs_of_input(arguments, kind):
    with pytest.raises(kind, match=r"Input|inputs"):
        Input(**arguments)


@each_layer
def test_initial_states_that_are_no_real_numbers(kind):
    layer = kind(4)
    count = len(layer.state_size)
    for dtype in ("complex64", "U1"):
        with pytest.raises(TypeError, match=r"`initial_state` of layer .* must hold real numbers"):
            layer(np.ones((2, 5, 3)), initial_state=[np.zeros((2, 4), dtype)] * count)
