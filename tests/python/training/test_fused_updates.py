"""Updates in the engine against the same optimizers written with NumPy, to the bit."""

import numpy as np
import pytest

from each_case import each_case
from ferrnn import Gradients, Parameter
from ferrnn._src.native import adam_update, sgd_update, squared_norms
from ferrnn.optimizers import SGD, Adam

CASES = {
    "sgd": (SGD, {"learning_rate": 0.1}),
    "momentum": (SGD, {"learning_rate": 0.1, "momentum": 0.9}),
    "nesterov": (SGD, {"learning_rate": 0.1, "momentum": 0.8, "nesterov": True}),
    "sgd_decay": (SGD, {"learning_rate": 0.1, "weight_decay": 0.3}),
    "sgd_clipnorm": (SGD, {"learning_rate": 0.1, "clipnorm": 0.5, "momentum": 0.3}),
    "adam": (Adam, {"learning_rate": 0.02}),
    "adam_betas": (Adam, {"learning_rate": 0.02, "beta_1": 0.5, "beta_2": 0.7, "epsilon": 0.01}),
    "amsgrad": (Adam, {"learning_rate": 0.02, "amsgrad": True, "beta_2": 0.4}),
    "adam_decay": (Adam, {"learning_rate": 0.02, "weight_decay": 0.1, "clipvalue": 0.4}),
    "adam_global_clipnorm": (Adam, {"learning_rate": 0.02, "global_clipnorm": 0.5}),
}
SHAPES = [(7, 33), (5,), (2, 3, 4), ()]


def in_numpy(kind):
    """A subclass that writes `update`, so that the engine must leave it alone."""

    class InNumpy(kind):
        def update(self, *arrays):
            super().update(*arrays)

    return InNumpy


def trained(optimizer, dtypes, steps=5):
    rng = np.random.default_rng(8)
    parameters = [
        Parameter(rng.normal(size=shape), f"w{at}", dtype=dtypes[at % len(dtypes)])
        for at, shape in enumerate(SHAPES)
    ]
    for _ in range(steps):
        grads = Gradients()
        for parameter in parameters:
            grads.add(parameter, rng.normal(size=parameter.shape).astype(parameter.dtype))
        optimizer.apply(grads, parameters)
    return parameters


@each_case("dtypes", [["float32"], ["float64"], ["float32", "float64"]], ids=str)
@each_case("name", CASES)
def test_the_engine_updates_as_numpy_does(name, dtypes):
    kind, options = CASES[name]
    native, numpy = kind(**options), in_numpy(kind)(**options)
    found, expected = trained(native, dtypes), trained(numpy, dtypes)
    slots = zip(native.variables[2:], numpy.variables[2:], strict=True)
    for ours, theirs in [*zip(found, expected, strict=True), *slots]:
        assert ours.dtype == theirs.dtype
        # NumPy 1 takes a float32 without axes times a float of Python to float64.
        rounded = np.lib.NumpyVersion(np.__version__) < "2.0.0" and not ours.shape
        rtol = 1e-6 if rounded else 0
        np.testing.assert_allclose(ours.value, theirs.value, rtol=rtol, atol=0)
        assert np.any(ours.value)


@pytest.mark.parametrize("name", ["sgd", "momentum", "amsgrad"])
def test_every_array_that_is_written_has_a_new_version(name):
    kind, options = CASES[name]
    optimizer = kind(**options)
    parameters = trained(optimizer, ["float32"], steps=1)
    written = [*parameters, *optimizer.variables[2:]]
    versions = [each.version for each in written]
    views = [each.value for each in written]
    copies = [each.snapshot() for each in written]
    optimizer.apply([np.ones(shape) for shape in SHAPES], parameters)
    for at, each in enumerate(written):
        assert each.version > versions[at]
        assert each.value is views[at]
        assert not each.value.flags.writeable
        assert each.snapshot() is not copies[at]
        assert np.any(each.value != copies[at])


@pytest.mark.parametrize("kind", [SGD, Adam])
def test_gradients_of_any_layout_and_number_type(kind):
    rng = np.random.default_rng(2)
    plain = rng.integers(-4, 5, size=(4, 6)).astype("float32")
    wide = np.zeros((8, 6), "float32")
    wide[::2] = plain
    given = [plain, plain.astype("float64"), plain.astype("int8"), np.asfortranarray(plain)]
    given += [wide[::2], plain.astype(">f4"), plain.tolist()]
    results = []
    for gradient in given:
        parameter = Parameter(np.ones((4, 6), "float32"), "w")
        kind(0.125).apply([gradient], [parameter])
        results.append(parameter.numpy())
    grads = Gradients()
    parameter = Parameter(np.ones((4, 6), "float32"), "w")
    grads.add(parameter, plain.astype("float64"))
    kind(0.125).apply(grads, [parameter])
    for result in [*results, parameter.value]:
        np.testing.assert_array_equal(result, results[0])


def test_gradients_that_are_numbers_of_numpy():
    for kind in (SGD, Adam):
        parameter = Parameter(1.0, "w")
        grads = Gradients()
        for _ in range(2):
            grads.add(parameter, np.float64(2.0))  # the sum of arrays without axes is a number
        kind(0.125, clipnorm=1.0).apply(grads, [parameter])
        np.testing.assert_allclose(parameter.value, 0.875, rtol=1e-6)


def test_a_weight_may_be_its_own_gradient():
    parameter = Parameter(np.arange(100.0), "w")
    SGD(0.5, momentum=0.5).apply([parameter.value], [parameter])
    np.testing.assert_array_equal(parameter.value, np.arange(100.0) / 2)


class TestTheEngineRefuses:
    def test_lists_of_other_lengths(self):
        arrays = [np.zeros(2), np.zeros(2)]
        with pytest.raises(ValueError, match=r"`gradients`: expected 2 entries.*received 1"):
            sgd_update(arrays, [np.zeros(2)], None, 0.1)
        with pytest.raises(ValueError, match=r"`scales`: expected 1 entries.*received 2"):
            sgd_update([np.zeros(2)], [np.zeros(2)], None, 0.1, scales=[1.0, 1.0])

    def test_other_shapes_and_types(self):
        weight, gradient = np.zeros(2), np.zeros(2)
        with pytest.raises(ValueError, match=r"`gradients`: expected shape \[2\], received \[3\]"):
            sgd_update([weight], [np.zeros(3)], None, 0.1)
        with pytest.raises(ValueError, match=r"`momenta`: expected shape \[2\], received \[2, 1\]"):
            sgd_update([weight], [gradient], [np.zeros((2, 1))], 0.1)
        with pytest.raises(TypeError, match="`velocities`: expected dtype float64, received float"):
            adam_update(
                [weight], [gradient], [np.zeros(2)], [np.zeros(2, "float32")], None, 1, 0, 0, 1
            )
        with pytest.raises(TypeError, match=r"`weights`: expected .*float64, received int64"):
            sgd_update([np.zeros(2, "int64")], [gradient], None, 0.1)
        with pytest.raises(TypeError, match=r"`weights`: expected .*received list"):
            sgd_update([[0.0]], [gradient], None, 0.1)

    def test_arrays_that_cannot_be_written(self):
        frozen = np.zeros(2)
        frozen.flags.writeable = False
        for weight in (frozen, np.zeros(4)[::2], np.zeros(2, ">f8")):
            with pytest.raises(ValueError, match="`weights`: expected a writeable C-contiguous"):
                sgd_update([weight], [np.zeros(2)], None, 0.1)

    def test_arrays_that_share_memory(self):
        whole = np.zeros(6)
        for weights, momenta in [
            ([whole, whole], [np.zeros(6), np.zeros(6)]),
            ([whole], [whole]),
            ([whole[:4]], [whole[2:]]),
        ]:
            gradients = [np.ones(weight.shape) for weight in weights]
            with pytest.raises(ValueError, match="received arrays that share memory"):
                sgd_update(weights, gradients, momenta, 0.1, 0.5)
        assert not whole.any()
        sgd_update([whole[:3]], [np.ones(3)], [whole[3:]], 0.5, 0.5)
        np.testing.assert_array_equal(whole, np.full(6, -0.5))


def test_squared_norms():
    arrays = [np.array([3.0, 4.0]), np.arange(10, dtype="float32")[::3], np.zeros((0, 2))]
    assert squared_norms(arrays) == [25.0, 126.0, 0.0]
    with pytest.raises(TypeError, match=r"`arrays`: expected .*received int64"):
        squared_norms([np.arange(3)])
