"""What is recorded of a cell: nothing twice, and kept for the way back only what must be."""

from ferrnn import layers, ops
from ferrnn._src.layer.layer import Call
from ferrnn._src.programs import lowering
from program_comparison import drawn
from users_cells import LongCell, NormalizedLongCell, Written

STATIC, STEP, BACK, SUMS, STATIC_BACK = range(5)


def recorded(monkeypatch, cell):
    """Homes and widths of the registers, and the sections, of a cell's program with a way back."""
    made = []
    real = lowering.Program

    def program(double, registers, sections, **ends):
        made.append((registers, sections))
        return real(double, registers, sections, **ends)

    monkeypatch.setattr(lowering, "Program", program)
    layer = layers.RNN(cell)
    inputs, _ = drawn(cell, 3, 4)
    layer.build(inputs.shape)
    layer.forward((inputs,), Call(differentiable=True))
    (found,) = made
    return found


def names(section):
    return [rest[0] if kind in ("map", "reduce") else kind for kind, rest in section]


def test_a_sum_that_is_used_twice_is_computed_once(monkeypatch):
    _, sections = recorded(monkeypatch, NormalizedLongCell(5))
    # Two normalizations: the sum of the mean, which the variance takes too, and that of squares.
    assert names(sections[STEP]).count("sum") == 4


def test_gradients_of_biases_are_summed_at_each_step(monkeypatch):
    _, sections = recorded(monkeypatch, LongCell(5))
    assert "sum_rows" in names(sections[BACK])
    assert set(names(sections[SUMS])) == {"outer"}


class ScaledCell(Written):
    """Reads on its way back a product whose factors it reads as well."""

    def __init__(self, units):
        super().__init__(units)
        self.state_size = units

    def build(self, shape):
        self.weight("kernel", shape[-1], self.units)
        self.weight("rate", self.units)

    def call(self, inputs, states):
        x = ops.tanh(ops.matmul(inputs, self.kernel))
        product = x * states[0]
        h = ops.tanh(product * self.rate)
        return h, [h]


def test_a_product_is_computed_again_rather_than_kept(monkeypatch):
    registers, sections = recorded(monkeypatch, ScaledCell(5))
    # Inputs, x and h; the matrix' gradient takes that by x · kernel.
    assert [width for home, width in registers if home == "series"].count(5) == 3
    # The product once more, and two gradients of each product.
    assert names(sections[BACK]).count("multiply") == 1 + 4


def test_a_gradient_that_is_the_same_along_an_axis_is_computed_once(monkeypatch):
    _, sections = recorded(monkeypatch, NormalizedLongCell(5))
    wide = [rest for kind, rest in sections[BACK] if kind == "map" and rest[2][-1] == 20]
    assert not [rest for rest in wide if all(source[2][-1] == 0 for source in rest[4])]
