"""What no step changes is computed once, before the first."""

import numpy as np
import pytest

from ferrnn import ops
from ferrnn._src.programs import telling
from program_comparison import BEGIN, STEP, agree, drawn, made, names, recorded
from users_cells import AttentionCell, Written


class Looking(Written):
    """A cell that looks at a memory through weights; `after` gives the states after a step."""

    def __init__(self, after, **options):
        super().__init__(5, **options)
        self.state_size = [5, 6, 6]
        self.after = after

    def build(self, shape):
        self.weight("kernel", shape[-1], 5)
        self.weight("looked", 6, 5)
        self.weight("scale", 6)

    def call(self, inputs, states):
        h, memory, other = states
        seen = ops.tanh(ops.matmul(memory * self.scale, self.looked))
        h = ops.tanh(ops.matmul(inputs, self.kernel) + seen * h) + ops.mean(
            other, axis=-1, keepdims=True
        )
        return h, [h, *self.after(memory, other)]


def as_they_are(memory, other):
    return memory, other


def of_another(memory, other):
    return memory, ops.exp(-memory)


def exchanged(memory, other):
    return other, memory


def halved(memory, other):
    return 0.5 * memory, memory


def turned(memory, other):
    return ops.concatenate([memory[:, 2:], memory[:, :2]], axis=-1), other


@pytest.mark.parametrize("after", [as_they_are, of_another, exchanged, halved, turned])
@pytest.mark.parametrize("masked", [False, True])
def test_states_are_those_of_steps_in_python(after, masked, caplog):
    telling.forget()
    cell = made(Looking, after=after)
    inputs, states = drawn(cell, 35, 4)  # more rows than are computed together
    mask = np.random.default_rng(0).random((35, 4)) < 0.7 if masked else None
    agree(cell, inputs, states, mask=mask)
    assert not caplog.messages  # that it is no program


@pytest.mark.parametrize(
    ("after", "products"), [(as_they_are, 1), (of_another, 1), (exchanged, 0), (halved, 0)]
)
def test_the_product_with_a_memory_is_computed_once(after, products, monkeypatch):
    _, sections = recorded(monkeypatch, Looking(after), differentiable=False)
    begun, steps = (names(sections[each]).count("product") for each in (BEGIN, STEP))
    assert (begun, begun + steps) == (products, 2)


@pytest.mark.parametrize("differentiable", [False, True])
def test_keys_of_attention_are_computed_once(differentiable, monkeypatch):
    _, sections = recorded(monkeypatch, AttentionCell(), differentiable=differentiable)
    assert "product" in names(sections[BEGIN])
