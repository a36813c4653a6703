"""Merge layers: masks, models with branches, and what is refused."""

import numpy as np
import pytest

import ferrnn
from each_case import each_case
from ferrnn import Call, layers
from ferrnn._src.layer.masked import attach_mask, mask_of
from ferrnn.testing import check_vjp

BROADCASTING = (layers.Add, layers.Multiply, layers.Maximum, layers.Average)

RNG = np.random.default_rng(8)
KINDS = ["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate"]
ONE = np.array([[True, True, False], [True, False, False]])
TWO = np.array([[True, True, True], [True, True, False]])


def pair():
    return [RNG.normal(size=(2, 3, 4)), RNG.normal(size=(2, 3, 4))]


@each_case("kind", KINDS)
@each_case("masks", [(ONE, TWO), (ONE, None), (None, TWO)])
def test_gradients_with_masks_match_finite_differences(kind, masks):
    layer = getattr(layers, kind)(dtype="float64")
    call = Call(differentiable=True, mask=list(masks))
    check_vjp(lambda arrays: layer.forward(arrays, call), tuple(pair()))


@each_case("kind", KINDS)
def test_masks_ride_through_a_plain_call(kind):
    one, two = pair()
    both = getattr(layers, kind)()([attach_mask(one, ONE), attach_mask(two, TWO)])
    np.testing.assert_array_equal(mask_of(both), ONE | TWO)
    single = mask_of(getattr(layers, kind)()([attach_mask(one, ONE), two]))
    expected = np.ones((2, 3), bool) if kind == "Concatenate" else None
    np.testing.assert_array_equal(single, expected)


def test_equal_entries_share_the_gradient():
    one, two = np.array([[1.0, 2.0]]), np.array([[1.0, 3.0]])
    for kind, share in (("Maximum", [[0.5, 0.0]]), ("Minimum", [[0.5, 1.0]])):
        layer = getattr(layers, kind)(dtype="float64")
        _, vjp = layer.forward([one, two], Call(differentiable=True))
        d_one, d_two = vjp(np.ones((1, 2)), None)
        assert d_one.tolist() == share
        assert (d_one + d_two).tolist() == [[1, 1]]


@each_case("kind", [*KINDS, "Dot"])
def test_the_lower_case_form_does_the_same(kind):
    arrays = [array.astype("float32") for array in pair()]
    options = {"axes": 2} if kind == "Dot" else {}
    received = getattr(layers, kind.lower())(arrays, **options)
    np.testing.assert_array_equal(received, getattr(layers, kind)(**options)(arrays))


@each_case("kind", KINDS)
def test_a_model_with_two_branches_trains(kind):
    ferrnn.utils.set_random_seed(1)
    inputs = ferrnn.Input((5, 6))
    branches = [layers.GRU(4, return_sequences=True)(inputs) for _ in range(2)]
    merged = getattr(layers, kind)()(branches)
    width = 8 if kind == "Concatenate" else 4
    assert merged.shape == (None, 5, width)
    outputs = layers.Dense(1)(layers.GlobalAveragePooling1D()(merged))
    model = ferrnn.Model(inputs, outputs)
    model.compile(ferrnn.optimizers.Adam(0.02), "mse")
    x = RNG.normal(size=(64, 5, 6))
    y = x[:, :, :1].mean(axis=1) - x[:, -1, 1:2]
    history = model.fit(x, y, epochs=40, verbose=0).history["loss"]
    assert history[-1] < 0.7 * history[0]


@each_case(
    ("make", "error", "text"),
    [
        (lambda: layers.Add()(np.ones((2, 3))), ValueError, "should be called on a list of inp"),
        (
            lambda: layers.Add()([np.ones((2, 3)), np.ones((3, 3))]),
            ValueError,
            "Cannot merge tensors with different batch sizes",
        ),
        (
            lambda: layers.Add()([np.ones((2, 3)), np.ones((2, 4))]),
            ValueError,
            "Inputs have incompatible shapes",
        ),
        (lambda: layers.Subtract()([np.ones((2, 3))] * 3), ValueError, "on exactly 2 inputs"),
        (
            lambda: layers.Concatenate()([np.ones((2, 3, 1)), np.ones((2, 4, 1))]),
            ValueError,
            "requires inputs with matching shapes except",
        ),
        (
            lambda: layers.Concatenate()([np.ones((2, 3)), np.ones((2, 4, 1))]),
            ValueError,
            "requires inputs with matching shapes except",
        ),
        (lambda: layers.Add()(pair(), mask=[ONE]), ValueError, "should have the same length"),
        (lambda: layers.Dot("last"), TypeError, "Invalid type for argument `axes`"),
        (lambda: layers.Dot((1, 2, 3)), ValueError, "should contain two elements"),
        (lambda: layers.Dot((1, 2.0)), ValueError, "list elements should be integers"),
        (lambda: layers.Dot(0)(pair()), ValueError, "other than the batch"),
        (lambda: layers.Dot((1, 2))(pair()), ValueError, r"axis values 3 \(at axis 1\) != 4"),
        (lambda: layers.Dot(1)([*pair(), *pair()]), ValueError, "on exactly 2 inputs"),
    ],
)
def test_what_is_refused(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_a_built_layer_still_checks_what_it_is_given():
    layer = layers.Add(name="mine")
    layer(pair())
    with pytest.raises(ValueError, match=r"list of inputs.*'mine'"):
        layer(np.ones((2, 3, 4)))
    with pytest.raises(ValueError, match="Inputs have incompatible shapes"):
        layer([np.ones((2, 3, 4)), np.ones((2, 3, 5))])


def test_shapes_may_change_from_call_to_call():
    rng = np.random.default_rng(8)
    for kind in BROADCASTING:
        layer = kind(dtype="float64")
        for shapes in ([(2, 3), (2, 3)], [(4, 5), (4, 1)], [(2, 3), (2, 3)], [(2, 5, 3), (2, 3)]):
            arrays = [rng.normal(size=shape) for shape in shapes]
            wide = [array.reshape(len(array), *[1] * (3 - array.ndim), -1) for array in arrays]
            if arrays[0].ndim == 3:
                wide[0] = arrays[0]
            expected = kind(dtype="float64")(wide)
            np.testing.assert_array_equal(layer(arrays).ravel(), expected.ravel())
        with pytest.raises(ValueError, match=r"incompatible shapes"):
            layer([np.ones((2, 3)), np.ones((2, 4))])
    dot = layers.Dot(axes=-1, dtype="float64")
    for shapes in ([(2, 5, 3), (2, 4, 3)], [(2, 3), (2, 3)], [(2, 5, 3), (2, 4, 3)]):
        arrays = [rng.normal(size=shape) for shape in shapes]
        dot.compute_output_shape([(2, 6), (2, 6)])
        np.testing.assert_allclose(dot(arrays), layers.Dot(axes=-1, dtype="float64")(arrays))


def test_one_input_is_copied():
    for kind in BROADCASTING:
        inputs = np.ones((2, 3), "float32")
        outputs = kind()([inputs])
        assert not np.shares_memory(inputs, outputs)


@pytest.mark.parametrize("kind", [layers.Add, layers.Maximum, layers.Concatenate])
def test_lists_of_masks_are_checked(kind):
    one, two, mask = np.ones((2, 3, 4)), np.ones((2, 3, 4)), np.ones((2, 3), bool)
    for inputs, masks, message in (
        ([one, two], mask, "`mask` should be a list"),
        (one, [None, None], "`inputs` should be a list"),
        ([one, two], [mask], "should have the same length"),
    ):
        with pytest.raises(ValueError, match=message):
            kind().compute_mask(inputs, masks)
