"""Residuals belong to one forward pass: with any other problem they are refused, by name."""

import itertools

import numpy as np
import pytest

from each_case import each_case
from ferrnn import _core

BATCH, TIME, FEATURES, UNITS = 3, 5, 2, 7


def arrays(dtype: str = "f4") -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)

    def normal(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(dtype)

    mask = rng.random((BATCH, TIME)) < 0.6
    mask[:, 1] = True
    return {
        "kernel": normal(FEATURES, 4 * UNITS),
        "recurrent_kernel": normal(UNITS, 4 * UNITS),
        "bias": normal(4 * UNITS),
        "inputs": normal(BATCH, TIME, FEATURES),
        "state": normal(2, BATCH, UNITS),
        "mask": mask,
        "one_mask": normal(1, BATCH, FEATURES),
        "gate_masks": normal(4, BATCH, FEATURES),
        "recurrent_mask": normal(1, BATCH, UNITS),
        "recurrent_masks": normal(4, BATCH, UNITS),
    }


GIVEN = arrays()
WEIGHTS = _core.Weights("lstm", GIVEN["kernel"], GIVEN["recurrent_kernel"], GIVEN["bias"])
PADDED = np.arange(TIME) < np.array([[2], [5], [3]])

# Each differs from the first in one thing; the name is the one that the message must say.
VARIANTS = {
    "plain": {},
    "go_backwards": {"go_backwards": True},
    "return_sequences": {"return_sequences": False},
    "zero_output_for_mask": {"zero_output_for_mask": True},
    "initial_state": {"initial_state": list(GIVEN["state"])},
    "mask": {"mask": GIVEN["mask"]},
    "padding": {"mask": PADDED},
    "input_dropout": {"input_dropout": GIVEN["one_mask"]},
    "input_dropout of gates": {"input_dropout": GIVEN["gate_masks"]},
    "recurrent_dropout": {"recurrent_dropout": GIVEN["recurrent_mask"]},
    "recurrent_dropout of gates": {"recurrent_dropout": GIVEN["recurrent_masks"]},
}


def problem(weights=WEIGHTS, inputs=GIVEN["inputs"], **changes):
    return _core.Problem(weights, inputs, **changes)


def gradients(residuals, of, outputs, weights=WEIGHTS):
    return _core.rnn_backward(weights, residuals, of, outputs, outputs)


@each_case(("kept", "given"), list(itertools.permutations(VARIANTS, 2)))
def test_another_problem_is_refused(kept, given):
    _, _, residuals = _core.rnn_forward(WEIGHTS, problem(**VARIANTS[kept]), True)
    other = problem(**VARIANTS[given])
    outputs, _, _ = _core.rnn_forward(WEIGHTS, other)
    with pytest.raises(ValueError, match="`residuals`: expected those of a problem with"):
        gradients(residuals, other, outputs)


@each_case("name", [name for name in VARIANTS if name not in {"plain", "padding"}])
def test_the_message_names_what_differs(name):
    _, _, residuals = _core.rnn_forward(WEIGHTS, problem(), True)
    other = problem(**VARIANTS[name])
    outputs, _, _ = _core.rnn_forward(WEIGHTS, other)
    with pytest.raises(ValueError, match=name.split()[0]):
        gradients(residuals, other, outputs)


@pytest.mark.parametrize(
    ("shape", "name"), [((4, TIME), "batch"), ((BATCH, 6), "time"), ((BATCH, 0), "time")]
)
def test_another_shape_is_refused(shape, name):
    _, _, residuals = _core.rnn_forward(WEIGHTS, problem(), True)
    other = problem(inputs=np.ones((*shape, FEATURES), "f4"))
    outputs, _, _ = _core.rnn_forward(WEIGHTS, other)
    with pytest.raises(ValueError, match=name):
        gradients(residuals, other, outputs)


@pytest.mark.parametrize(
    ("name", "there", "here"),
    [
        ("inputs", {}, {"inputs": GIVEN["inputs"] + 1}),
        ("mask", {"mask": GIVEN["mask"]}, {"mask": ~GIVEN["mask"]}),
        ("initial_state", *({"initial_state": list(s)} for s in (GIVEN["state"], -GIVEN["state"]))),
        ("input_dropout", *({"input_dropout": m * GIVEN["one_mask"]} for m in (1, 2))),
        (
            "recurrent_dropout",
            *({"recurrent_dropout": m * GIVEN["recurrent_mask"]} for m in (1, 2)),
        ),
    ],
)
def test_another_array_is_refused(name, there, here):
    _, _, residuals = _core.rnn_forward(WEIGHTS, problem(**there), True)
    other = problem(**here)
    outputs, _, _ = _core.rnn_forward(WEIGHTS, other)
    with pytest.raises(ValueError, match=f"the same `{name}`"):
        gradients(residuals, other, outputs)


def test_weights_of_another_cell_are_refused():
    kernel, recurrent = GIVEN["kernel"][:, : 3 * UNITS], GIVEN["recurrent_kernel"][:, : 3 * UNITS]
    after = _core.Weights("gru", kernel, recurrent)
    before = _core.Weights("gru", kernel, recurrent, reset_after=False)
    own, other = problem(after), problem(before)
    _, _, residuals = _core.rnn_forward(after, own, True)
    outputs, _, _ = _core.rnn_forward(before, other)
    with pytest.raises(ValueError, match="residuals"):
        gradients(residuals, other, outputs, before)


def test_another_dtype_is_refused():
    double = arrays("f8")
    weights = _core.Weights("lstm", double["kernel"], double["recurrent_kernel"], double["bias"])
    _, _, residuals = _core.rnn_forward(WEIGHTS, problem(), True)
    other = problem(weights, double["inputs"])
    outputs, _, _ = _core.rnn_forward(weights, other)
    with pytest.raises(ValueError, match="those of a float64 problem, received float32"):
        gradients(residuals, other, outputs, weights)


@each_case("variant", VARIANTS.values(), ids=VARIANTS)
def test_the_same_arrays_and_options_are_the_same_problem(variant):
    own = problem(**variant)
    outputs, _, residuals = _core.rnn_forward(WEIGHTS, own, True)
    expected = gradients(residuals, own, outputs)
    again = gradients(residuals, problem(**variant), outputs)
    for one, other in zip([expected[0], *expected[1]], [again[0], *again[1]], strict=True):
        assert np.any(one)
        np.testing.assert_array_equal(one, other)
