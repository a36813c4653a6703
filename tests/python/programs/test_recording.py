"""What is recorded of a cell: nothing twice, and only what the backward pass needs is kept."""

from ferrnn import ops
from program_comparison import BACK, STEP, SUMS, names, recorded
from users_cells import LongCell, NormalizedLongCell, Written


def test_a_sum_that_is_used_twice_is_computed_once(monkeypatch):
    _, sections = recorded(monkeypatch, NormalizedLongCell(5))
    # Two normalizations: the sum of the mean, which the variance takes too, and that of squares.
    assert names(sections[STEP]).count("sum") == 4


def test_sums_wait_for_the_steps_where_their_terms_are_kept(monkeypatch):
    _, sections = recorded(monkeypatch, LongCell(5))
    assert "sum_rows" not in names(sections[BACK])
    assert names(sections[SUMS]).count("sum_rows") == 1  # of the bias
    _, sections = recorded(monkeypatch, NormalizedLongCell(5))
    assert "sum_rows" in names(sections[BACK])  # of the scales, whose terms are computed for them


class ScaledCell(Written):
    """Its backward pass reads a product and also the factors of it."""

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


def test_products_and_a_bias_are_added_by_the_products(monkeypatch):
    registers, sections = recorded(monkeypatch, LongCell(5))
    sums = [rest for kind, rest in sections[STEP] if kind == "product"]
    assert len(sums) == 2
    assert all(accumulate for *_, accumulate in sums)
    assert len({dest for dest, *_ in sums}) == 1
    first = sections[STEP][0][1]
    assert (first[0], registers[first[4][0][0]]) == ("copy", ("static", 20))


def test_a_product_that_is_read_twice_stays_apart(monkeypatch):
    class Twice(ScaledCell):
        def call(self, inputs, states):
            x = ops.matmul(inputs, self.kernel)
            h = ops.tanh(x + self.rate) * x
            return h, [h]

    _, sections = recorded(monkeypatch, Twice(5))
    assert [rest[-1] for kind, rest in sections[STEP] if kind == "product"] == [False]
