"""`.numpy()` on what code of users meets: parts of weights, arrays inside `call`, operations."""

import numpy as np
import pytest

import ferrnn as keras
from each_case import each_case
from ferrnn import layers, ops

X = np.random.default_rng(2).normal(size=(4, 3)).astype("float32")
IDS = np.array([[1, 2, 0], [3, 1, 1], [2, 0, 0], [1, 1, 1]])


class Watched(layers.Layer):
    """Keeps what it computes."""

    def build(self, input_shape):
        self.kernel = self.add_weight((input_shape[-1], 2), "glorot_uniform", name="kernel")

    def call(self, inputs):
        self.kept = {
            "inputs": inputs,
            "part": inputs[:, 1],
            "total": inputs.sum(),
            "row": self.kernel[0],
            "product": ops.matmul(inputs, self.kernel),
            "constant": ops.stop_gradient(inputs),
            "joined": [ops.concatenate([inputs, 2 * inputs], axis=-1)],
        }
        return ops.tanh(self.kept["product"])


def expected(kernel):
    return {
        "inputs": X,
        "part": X[:, 1],
        "total": X.sum(),
        "row": kernel[0],
        "product": X @ kernel,
        "constant": X,
        "joined": np.concatenate([X, 2 * X], axis=-1),
    }


def expect_kept(layer, kernel):
    for name, value in expected(kernel).items():
        kept = layer.kept[name]
        kept = kept[0] if isinstance(kept, list) else kept
        assert type(kept.numpy()) in (np.ndarray, np.float32), name
        np.testing.assert_allclose(kept.numpy(), value, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(np.asarray(kept), value, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(np.mean(kept), np.mean(value), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose((kept * 2).numpy(), 2 * value, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(ops.convert_to_numpy(kept), value, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("index", [0, (0, 1), slice(1), (slice(None), 1), (slice(None), None)])
def test_parts_of_weights(index):
    kernel = layers.Dense(2)
    kernel.build((None, 3))
    weight = kernel.kernel
    part = weight[index]
    assert type(part.numpy()) is np.ndarray
    np.testing.assert_array_equal(part.numpy(), weight.numpy()[index])
    for row, value in zip(weight, weight.numpy(), strict=True):
        np.testing.assert_array_equal(row.numpy(), value)


@each_case(
    "function",
    [lambda w: w * 2, lambda w: 2 - w, lambda w: -w, lambda w: X @ w, np.tanh, ops.sum, ops.exp],
)
def test_what_is_computed_of_weights(function):
    weight = keras.Variable(np.ones((3, 2), "float32"))
    assert type(function(weight).numpy()) is np.ndarray
    np.testing.assert_array_equal(function(weight).numpy(), function(weight.numpy()))


def test_arrays_kept_inside_call():
    layer = Watched()
    layer(X)
    expect_kept(layer, layer.kernel.numpy())


def test_arrays_kept_inside_call_while_a_model_trains():
    layer = Watched()
    model = keras.Sequential([keras.Input((3,)), layer])
    model.compile("sgd", "mse")
    kernel = layer.kernel.numpy()
    model.train_on_batch(X, np.ones((4, 2)))
    expect_kept(layer, kernel)
    assert float(layer.kept["total"]) == layer.kept["total"].item()
    assert layer.kept["part"].tolist() == X[:, 1].tolist()
    assert (layer.kernel.numpy() != kernel).all()


def test_inside_of_a_trace_that_runs_they_are_refused():
    class Peeks(layers.Layer):
        def call(self, inputs):
            self.kept = 2 * inputs
            return inputs * self.kept.numpy()

    layer = Peeks()
    assert layer(X).numpy().shape == (4, 3)
    with pytest.raises(TypeError, match=r"numpy\(\) would cut the gradient"):
        layer.forward(X, keras.Call(differentiable=True))


def test_whole_numbers_and_masked_arrays_inside_call():
    seen = []

    class Sees(layers.Layer):
        def call(self, inputs, mask=None):
            seen.append((inputs.numpy(), (inputs + 1).numpy()))
            return inputs

    Sees()(IDS)
    vectors = layers.Embedding(4, 2, mask_zero=True)(IDS)
    with pytest.warns(UserWarning, match="does not support masking"):
        Sees()(vectors)
    for given, more in seen:
        assert type(given) is type(more) is np.ndarray
    assert seen[0][0].dtype == IDS.dtype
    assert (vectors * 2).numpy().shape == (4, 3, 2)
    assert vectors[0].numpy().shape == (3, 2)


def test_states_and_what_draws_and_makes_arrays():
    layer = layers.LSTM(2, stateful=True)
    sequences = np.ones((4, 5, 3), "float32")
    layer(sequences)
    cell = layers.GRUCell(2)
    output, _ = cell(X, cell.get_initial_state(4))
    for value in (
        *layer.states,
        *layer.get_initial_state(4),
        *cell.get_initial_state(4),
        output,
        keras.random.normal((2, 3)),
        keras.random.randint((2,), 0, 5),
        keras.activations.tanh(X),
        *ops.split(X, 2),
        ops.zeros((2,)),
        ops.convert_to_tensor([1.0, 2.0]),
        ops.arange(3),
        ops.argmax(X, axis=-1),
        ops.mean(X),
    ):
        assert type(value.numpy()) is np.ndarray
    assert type(ops.convert_to_numpy(X)) is np.ndarray


def test_a_single_entry_acts_as_a_number():
    at = ops.argmax(np.array([1.0, 3.0, 2.0]))
    assert {1: "found"}[at] == ["no", "found", "no"][at] == "found"
    assert f"{ops.mean(X):.3f}" == f"{X.mean():.3f}"
    with pytest.raises(TypeError, match="unhashable"):
        hash(ops.ones((2,)))


def test_scopes_devices_and_the_version():
    with keras.name_scope("outer"), keras.name_scope("inner"):
        assert keras.Variable(1.0, name="weight").path == "outer/inner/weight"
        with keras.name_scope("own", override_parent="a/b"):
            assert keras.Variable(1.0, name="weight").path == "a/b/own/weight"
    owner = object()
    with keras.name_scope("once", caller=owner), keras.name_scope("once", caller=owner):
        assert keras.Variable(1.0, name="weight").path == "once/weight"
    with pytest.raises(ValueError, match="cannot contain character `/`"), keras.name_scope("a/b"):
        pass
    for name in ("cpu", "cpu:0", "CPU:0", "/CPU:0"):
        with keras.device(name):
            assert float(ops.sum(ops.ones((2,)))) == 2
    with pytest.raises(ValueError, match="must be 'cpu' or 'cpu:0', received 'gpu:0'"):
        keras.device("gpu:0").__enter__()
    assert keras.version() == keras.__version__
