"""Compares a cell as a program of the engine with its steps in Python, forward and back."""

import numpy as np

from ferrnn import Call, Gradients
from ferrnn._src.cells.protocol import flatten, initial_state
from ferrnn._src.programs import lowering
from ferrnn._src.sequence import programmed, stepwise
from ferrnn.layers import RNN

# The sections of a program.
STATIC, BEGIN, STEP, BACK, SUMS, STATIC_BACK = range(6)

# Sums over rows, lanes and products have another order than NumPy's.
TOLERANCES = {"float64": 1e-10, "float32": 2e-4}


def made(kind, dtype="float64", features=4, **options):
    """A cell with random weights."""
    cell = kind(dtype=dtype, **options)
    cell.build((None, features))
    rng = np.random.default_rng(7)
    for weight in cell.weights:
        weight.assign(rng.normal(size=weight.shape) * 0.5)
    return cell


def drawn(cell, batch, time, features=4):
    """Inputs, and states that are not zero."""
    rng = np.random.default_rng(8)
    inputs = rng.normal(size=(batch, time, features)).astype(cell.dtype)
    states = initial_state(cell, batch, cell.dtype)
    return inputs, tuple(s + rng.normal(size=s.shape).astype(cell.dtype) * 0.3 for s in states)


def gradient_by(weight, grads):
    """The gradient of a weight, zeros for one that no output depends on."""
    return grads[weight] if weight in grads else np.zeros(weight.shape)


def run(scan, cell, inputs, states, **options):
    """All that a scan gives, forward and back, for fixed gradients."""
    outputs, final, vjp = scan(cell, inputs, states, Call(differentiable=True), **options)
    rng = np.random.default_rng(9)
    d_outputs = rng.normal(size=outputs.shape).astype(outputs.dtype)
    d_final = [rng.normal(size=state.shape).astype(outputs.dtype) for state in final]
    first, second = Gradients(), Gradients()
    d_inputs, d_states = vjp(d_outputs, d_final, first)
    vjp(d_outputs, d_final, second)
    weights = [gradient_by(weight, first) for weight in cell.trainable_weights]
    for weight, gradient in zip(cell.trainable_weights, weights, strict=True):
        np.testing.assert_array_equal(gradient, gradient_by(weight, second))
    return [outputs, *final, *flatten(d_inputs), *d_states, *weights]


def agree(cell, inputs, states, **options):
    tolerance = TOLERANCES[cell.dtype]
    program = run(programmed.scan, cell, inputs, states, **options)
    steps = run(stepwise.scan, cell, inputs, states, **options)
    for ours, theirs in zip(program, steps, strict=True):
        assert ours.shape == theirs.shape
        assert ours.dtype == theirs.dtype
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)
    outputs, final, _ = programmed.scan(cell, inputs, states, Call(), **options)
    for ours, theirs in zip((outputs, *final), steps, strict=False):
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


def recorded(monkeypatch, cell, *, differentiable=True):
    """Homes and widths of the registers, and the sections, of a cell's program."""
    made = []
    real = lowering.Program

    def program(double, registers, sections, **ends):
        made.append((registers, sections))
        return real(double, registers, sections, **ends)

    monkeypatch.setattr(lowering, "Program", program)
    layer = RNN(cell)
    inputs, _ = drawn(cell, 3, 4)
    layer.build(inputs.shape)
    layer.forward((inputs,), Call(differentiable=differentiable))
    (found,) = made
    return found


def names(section):
    """What the instructions of a section do."""
    return [rest[0] if kind in ("map", "reduce") else kind for kind, rest in section]
