"""Functions of `ops` in the configurations of models: Keras' names and settings."""

import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import ferrnn as keras
from each_case import each_case
from ferrnn import ops
from ferrnn._src.layer import operations
from ferrnn._src.ops import symbolic


def test_settings_are_arguments_of_their_functions():
    for name, settings in symbolic._SETTINGS_OF.items():
        parameters = inspect.signature(getattr(ops, name)).parameters
        assert set(settings) <= set(parameters), name


def test_modules_and_settings_name_functions_that_files_may_hold():
    for name in {*symbolic._MODULE_OF, *symbolic._SETTINGS_OF}:
        assert symbolic._class_name(name) in operations.known
    for name in ("cond", "map", "scan", "switch", "vectorized_map", "while_loop"):
        assert symbolic._class_name(name) not in operations.known  # they take code


def again(outputs, inputs):
    model = keras.Model(inputs, outputs)
    config = model.get_config()
    x = np.random.default_rng(2).normal(size=(3, 4, 6)).astype("float32")
    made = keras.Model.from_config(config)
    np.testing.assert_array_equal(made(x), model(x))
    return next(data["config"] for data in config["layers"][1:])


@each_case(
    ("function", "config"),
    [
        (lambda x: ops.mean(x, -1, keepdims=True), {"axis": -1, "keepdims": True}),
        (lambda x: ops.einsum("bij,bkj->bik", x, x), {"subscripts": "bij,bkj->bik"}),
        (lambda x: ops.cast(x, np.float64), {"dtype": "float64"}),
        (lambda x: ops.reshape(x, (-1, 3)), {"newshape": (-1, 3)}),
        (lambda x: ops.one_hot(ops.argmax(x, -1), 6), {"axis": -1, "keepdims": False}),
        (lambda x: ops.pad(x, [[0, 0], [1, 1], [0, 2]]), {"pad_width": [[0, 0], [1, 1], [0, 2]]}),
        (lambda x: ops.clip(x, x_min=np.float32(-0.5), x_max=0.5), {"x_min": -0.5, "x_max": 0.5}),
        (lambda x: ops.squeeze(ops.expand_dims(x, 1)), {"axis": 1}),
        (lambda x: ops.leaky_relu(x, 0.3), {"negative_slope": 0.3}),
        (lambda x: ops.top_k(x, 2)[0], {"k": 2, "sorted": True}),
        (lambda x: ops.stack([x, x + 1.0], 2), None),
        (lambda x: ops.maximum(x, 0.25), None),
    ],
)
def test_a_configuration_makes_the_same_operation_again(function, config):
    x = keras.Input((4, 6))
    found = again(function(x), x)
    if config is not None:
        assert {key: found[key] for key in config} == config


def test_a_file_with_operations_is_read_again(tmp_path):
    pytest.importorskip("h5py")
    x = keras.Input((4, 6))
    hidden = keras.layers.GRU(3, return_sequences=True)(x)
    sums = ops.sum(x, axis=(1, 2))[:, None]
    model = keras.Model(x, ops.concatenate([ops.max(hidden, 1), sums], axis=-1))
    model.save(tmp_path / "model.keras")
    data = np.random.default_rng(2).normal(size=(3, 4, 6)).astype("float32")
    read = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(read(data), model(data))


def test_arrays_as_settings_are_not_written():
    x = keras.Input((4, 6))
    model = keras.Model(x, ops.repeat(x, np.array([1, 2, 1, 1]), axis=1))
    with pytest.raises(NotImplementedError, match="the argument `repeats` of the operation"):
        model.get_config()


def test_only_known_operations_are_read():
    x = keras.Input((4, 6))
    config = keras.Model(x, ops.tanh(x)).get_config()
    for name in ("VectorizedMap", "Callable", "Operation", "SumTo"):
        config["layers"][1]["class_name"] = config["layers"][1]["registered_name"] = name
        with pytest.raises((ValueError, TypeError)):
            keras.Model.from_config(config)


def test_a_setting_may_come_from_the_model():
    x, bound = keras.Input((4, 6)), keras.Input((4, 1))
    model = keras.Model([x, bound], ops.clip(x, -bound, bound))
    rng = np.random.default_rng(2)
    data = [rng.normal(size=(3, 4, 6)).astype("float32"), rng.random((3, 4, 1)).astype("float32")]
    np.testing.assert_array_equal(model(data), np.clip(data[0], -data[1], data[1]))
    made = keras.Model.from_config(model.get_config())
    np.testing.assert_array_equal(made(data), model(data))


def test_a_file_with_operations_loads_before_anything_else_does():
    pytest.importorskip("h5py")
    path = Path(__file__).parents[1] / "golden" / "functions.keras"
    code = f"import ferrnn as keras\nprint(keras.models.load_model({str(path)!r}).name)"
    run = [sys.executable, "-W", "error", "-c", code]
    assert subprocess.run(run, capture_output=True, text=True, check=True).stdout == "functions\n"


def test_an_operation_that_is_not_known_is_named():
    data = {"module": "keras.src.ops.numpy", "class_name": "Dense", "config": {"units": 2}}
    with pytest.raises(ValueError, match="the operation 'Dense' of the configuration is not known"):
        keras.layers.deserialize({**data, "registered_name": "Dense"})
