"""Normalization by statistics of the data: what `adapt` takes, files, models, what is refused."""

import numpy as np
import pytest

import ferrnn
from each_case import each_case
from ferrnn import Call, layers
from ferrnn.testing import check_vjp
from ferrnn.utils import PyDataset

RNG = np.random.default_rng(8)
DATA = RNG.normal(3.0, 2.0, size=(37, 5, 3))


class Halves(PyDataset):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        return (DATA[:20] if index == 0 else DATA[20:]), np.zeros(1)


@each_case("axis", [-1, None, 1, (1, 2), (2, 1)])
@each_case(
    "data",
    [DATA, [DATA[:1], DATA[1:13], DATA[13:]], Halves(), iter([(DATA[:30], 0), (DATA[30:], 0)])],
    ids=["array", "batches", "dataset", "generator"],
)
def test_adapted_data_has_mean_0_and_variance_1(axis, data):
    if not isinstance(data, np.ndarray | list | Halves):
        data = iter([(DATA[:30], 0), (DATA[30:], 0)])
    layer = layers.Normalization(axis=axis, dtype="float64")
    layer.adapt(data)
    outputs = np.asarray(layer(DATA))
    kept = () if axis is None else np.atleast_1d(axis) % 3
    others = tuple(each for each in range(3) if each not in kept)
    np.testing.assert_allclose(outputs.mean(others), 0.0, atol=1e-12)
    np.testing.assert_allclose(outputs.var(others), 1.0, rtol=1e-12)
    undo = layers.Normalization(axis=axis, invert=True, dtype="float64")
    undo.adapt(DATA)
    np.testing.assert_allclose(undo(outputs), DATA, rtol=1e-9, atol=1e-12)


def test_statistics_of_rows_serve_sequences_of_them():
    layer = layers.Normalization(dtype="float64")
    layer.adapt(DATA.reshape(-1, 3))
    np.testing.assert_allclose(np.asarray(layer(DATA)).mean((0, 1)), 0.0, atol=1e-12)


def test_adapting_again_forgets_what_was_there():
    layer = layers.Normalization()
    layer.adapt(DATA)
    layer.adapt(DATA * 2.0)
    np.testing.assert_allclose(layer.mean[0, 0], 2.0 * DATA.mean((0, 1)), rtol=1e-5)
    assert [weight.name for weight in layer.weights] == ["mean", "variance", "count"]
    assert layer.trainable_weights == []


def test_gradients_of_adapted_layers_match_finite_differences():
    layer = layers.Normalization(axis=(1, 2), dtype="float64")
    layer.adapt(DATA)
    check_vjp(lambda x: layer.forward(x, Call(differentiable=True)), DATA[:4])


def test_a_model_with_it_trains_and_goes_into_a_file(tmp_path):
    pytest.importorskip("h5py")
    norm = layers.Normalization()
    norm.adapt(DATA)
    model = ferrnn.Sequential([ferrnn.Input((5, 3)), norm, layers.LSTM(4), layers.Dense(1)])
    model.compile("adam", "mse")
    model.fit(DATA, DATA[:, 0, :1], epochs=2, verbose=0)
    np.testing.assert_allclose(norm.mean[0, 0], DATA.mean((0, 1)), rtol=1e-5)
    model.save(tmp_path / "model.keras")
    again = ferrnn.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(model.predict(DATA, verbose=0), again.predict(DATA, verbose=0))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"mean": 1.0}, "both `mean` and `variance` must be set"),
        ({"mean": 1.0, "variance": [1.0]}, "must have the same shape"),
        ({"mean": [[1.0]], "variance": [[1.0]]}, "The rank of `mean`"),
    ],
)
def test_half_given_statistics_are_refused(options, told):
    with pytest.raises(ValueError, match=told):
        layers.Normalization(**options)


def test_wrong_axes_shapes_and_data_are_refused():
    with pytest.raises(ValueError, match=r"must be in the range \[-ndim, ndim\)"):
        layers.Normalization(axis=3).build((None, 2, 3))
    with pytest.raises(ValueError, match="must have a known shape"):
        layers.Normalization(axis=1).build((None, None, 3))
    with pytest.raises(
        ValueError, match=r"`mean` of layer .* must be broadcastable to the lengths \(3,\)"
    ):
        layers.Normalization(mean=[1.0, 2.0], variance=[1.0, 2.0]).build((None, 3))
    layer = layers.Normalization()
    layer.adapt(DATA)
    with pytest.raises(ValueError, match=r"built for inputs of the shape \(37, 5, 3\)"):
        layer(np.zeros((2, 5, 4)))
    with pytest.raises(ValueError, match="must have 3 axes"):
        layer.adapt(np.zeros((2, 2, 5, 3)))
    with pytest.raises(ValueError, match="which `adapt` would replace"):
        layers.Normalization(mean=0.0, variance=1.0).adapt(DATA)
    with pytest.raises(ValueError, match="received an empty iterable"):
        layers.Normalization().adapt(iter([]))
    with pytest.raises(TypeError, match="convert a list of numbers"):
        layers.Normalization().adapt([1.0, 2.0])
    with pytest.raises(TypeError, match="Unsupported data type"):
        layers.Normalization().adapt(3)


def test_scaling_layers_refuse_what_does_not_fit():
    with pytest.raises(ValueError, match="invalid value for argument `groups`"):
        layers.GroupNormalization(0)
    with pytest.raises(ValueError, match="cannot be more than the number of channels"):
        layers.GroupNormalization(8).build((None, 4))
    with pytest.raises(ValueError, match="must divide the number of channels"):
        layers.GroupNormalization(3).build((None, 4))
    with pytest.raises(ValueError, match="should have a defined dimension"):
        layers.GroupNormalization(3).build((None, None))
    with pytest.raises(TypeError, match="Invalid value for `axis` argument"):
        layers.UnitNormalization(axis="last")
    with pytest.raises(ValueError, match="Axis 2 is out of bounds"):
        layers.RMSNormalization(axis=2).build((None, 4))


def test_a_row_is_normalized_alike_alone_and_in_a_batch():
    inputs = RNG.normal(size=(9, 7, 12)).astype("float32")
    for layer in (
        layers.GroupNormalization(4),
        layers.RMSNormalization(),
        layers.UnitNormalization(),
    ):
        whole = np.asarray(layer(inputs))
        np.testing.assert_array_equal(whole[3:4], layer(inputs[3:4]))
