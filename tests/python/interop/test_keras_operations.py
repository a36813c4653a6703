"""Operations of TensorFlow between layers, and functions of `Lambda`, in files of Keras 2.

The configurations are as Keras 2.15 wrote them for `y + x`, `y[:, -1]`, `tf.concat([y, x], -1)`.
"""

import json

import numpy as np
import pytest

import ferrnn
from ferrnn import layers as L  # noqa: N812 - there are many

h5py = pytest.importorskip("h5py")

WHOLE = {"start": None, "stop": None, "step": None}


@pytest.fixture
def saved(tmp_path):
    """A file of Keras 2 whose layer `odd` can be replaced, and what goes into that layer."""
    x = ferrnn.Input((5, 4), name="x")
    y = L.LSTM(4, return_sequences=True, name="y")(x)
    model = ferrnn.Model(x, L.Dense(2, name="head")(L.Activation("relu", name="odd")(y)))
    model.save(tmp_path / "m.h5", keras=2)
    given = np.random.default_rng(1).normal(size=(3, 5, 4)).astype("float32")
    return tmp_path / "m.h5", model, given


def replaced(path, kind, config, node, model=None):
    """The file, in which the layer `odd` is another."""
    with h5py.File(path, "r+") as file:
        written = json.loads(file.attrs["model_config"])
        (odd,) = (each for each in written["config"]["layers"] if each["name"] == "odd")
        odd["class_name"] = kind
        odd["config"] = {"name": "odd", "trainable": True, "dtype": "float32", **config}
        odd["inbound_nodes"] = [node]
        file.attrs["model_config"] = json.dumps(written)
    return path


def y_with(**kwargs):
    return ["y", 0, 0, {"name": None, **kwargs}]


X = ["x", 0, 0]
KNOWN = {
    "y + x": ("__operators__.add", y_with(y=X), lambda y, x: y + x),
    "y + 2": ("math.add", y_with(y=2.0), lambda y, x: y + 2),
    "y - x": ("math.subtract", y_with(y=X), lambda y, x: y - x),
    "2 - y": (
        "math.subtract",
        ["_CONSTANT_VALUE", -1, 2.0, {"y": ["y", 0, 0], "name": None}],
        lambda y, x: 2 - y,
    ),
    "y * x": ("math.multiply", y_with(y=X), lambda y, x: y * x),
    "y / 3": ("math.truediv", y_with(y=3.0), lambda y, x: y / 3),
    "tanh": ("math.tanh", y_with(), lambda y, x: np.tanh(y)),
    "relu": ("nn.relu", y_with(), lambda y, x: np.maximum(y, 0)),
    "softmax": (
        "nn.softmax",
        y_with(axis=-1),
        lambda y, x: np.exp(y) / np.exp(y).sum(axis=-1, keepdims=True),
    ),
}


def expected(model, given, function):
    """What the function makes of the LSTM's outputs and the inputs, through the head."""
    y = model.get_layer("y")(given)
    return np.asarray(model.get_layer("head")(function(np.asarray(y), given)))


@pytest.mark.parametrize("name", KNOWN)
def test_operations_are_operators_and_activations(saved, name):
    path, model, given = saved
    function, node, wanted = KNOWN[name]
    made = ferrnn.load_model(replaced(path, "TFOpLambda", {"function": function}, node))
    found = made.predict_on_batch(given)
    np.testing.assert_allclose(found, expected(model, given, wanted), rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("spec", "index"),
    [
        ([WHOLE, -1], np.s_[:, -1]),
        ([WHOLE, {**WHOLE, "start": 1, "step": 2}], np.s_[:, 1::2]),
        ([{"class_name": "__ellipsis__"}, {**WHOLE, "step": -1}], np.s_[..., ::-1]),
    ],
)
def test_indices(saved, spec, index, tmp_path):
    path, model, given = saved
    config = {"function": "__operators__.getitem"}
    node = y_with(slice_spec=spec)
    del node[3]["name"]
    made = ferrnn.load_model(replaced(path, "SlicingOpLambda", config, node))
    wanted = expected(model, given, lambda y, x: y[index])
    np.testing.assert_allclose(made.predict_on_batch(given), wanted, rtol=1e-5, atol=1e-6)
    made.save(tmp_path / "again.keras")
    again = ferrnn.load_model(tmp_path / "again.keras")
    np.testing.assert_array_equal(again.predict_on_batch(given), made.predict_on_batch(given))


def test_arrays_side_by_side(saved):
    path, model, given = saved
    node = [["y", 0, 0, {"axis": 1, "name": None}], ["x", 0, 0, {"axis": 1}]]
    path = replaced(path, "TFOpLambda", {"function": "concat"}, node)
    wanted = expected(model, given, lambda y, x: np.concatenate([y, x], axis=1))
    found = ferrnn.load_model(path).predict_on_batch(given)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("function", "node"),
    [
        ("linalg.matmul", y_with(y=X)),
        ("os.system", y_with()),
        (["code"], y_with()),
        ("nn.relu", y_with(alpha=1.0)),
        ("math.add", y_with()),
        ("nn.softmax", y_with(axis=1)),
        ("__operators__.getitem", y_with(slice_spec=["os"])),
        ("__operators__.getitem", y_with(slice_spec=[None])),
    ],
)
def test_others_are_refused_by_name(saved, function, node):
    path = replaced(saved[0], "TFOpLambda", {"function": function}, node)
    with pytest.raises(
        ferrnn.saving.FileError, match="the TFOpLambda 'odd': a layer that represents"
    ):
        ferrnn.load_model(path)


def doubled(x):
    return 2 * x


def test_a_lambda_with_a_name_takes_the_function_that_the_caller_gives(saved):
    path, model, given = saved
    config = {"function": "doubled", "function_type": "function", "module": "os", "arguments": {}}
    path = replaced(path, "Lambda", config, y_with())
    with pytest.raises(ferrnn.saving.FileError, match="doubled"):
        ferrnn.load_model(path)
    made = ferrnn.load_model(path, custom_objects={"doubled": doubled})
    wanted = expected(model, given, lambda y, x: 2 * y)
    np.testing.assert_allclose(made.predict_on_batch(given), wanted, rtol=1e-5, atol=1e-6)


def test_a_lambda_of_code_is_refused_in_a_sentence(saved):
    code = {"function": ["4wEAAAA=", None, None], "function_type": "lambda", "module": "__main__"}
    path = replaced(saved[0], "Lambda", code, y_with())
    with pytest.raises(ferrnn.saving.FileError, match="the Lambda 'odd': it holds Python code"):
        ferrnn.load_model(path)


def test_attention_of_keras_2_has_its_projections_under_older_names(tmp_path):
    x = ferrnn.Input((5, 4))
    model = ferrnn.Model(x, L.MultiHeadAttention(2, 3, name="multi_head_attention")(x, x))
    model.save_weights(tmp_path / "m.weights.h5")
    older = tmp_path / "older.weights.h5"
    with h5py.File(tmp_path / "m.weights.h5") as file, h5py.File(older, "w") as other:

        def copied(name, each):
            if isinstance(each, h5py.Dataset):
                other[name.replace("attention/", "attention/_", 1)] = each[()]

        file.visititems(copied)
    again = ferrnn.Model(x, L.MultiHeadAttention(2, 3, name="multi_head_attention")(x, x))
    again.load_weights(older)
    given = np.random.default_rng(1).normal(size=(3, 5, 4)).astype("float32")
    np.testing.assert_array_equal(again.predict_on_batch(given), model.predict_on_batch(given))
