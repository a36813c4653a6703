"""What `Weights` says of arguments that do not fit a cell: projections, vectors and clips."""

import numpy as np
import pytest

from each_case import each_case
from ferrnn._core import Problem, Weights, rnn_forward

KERNEL, RECURRENT = np.ones((3, 16), "float32"), np.ones((4, 16), "float32")
NARROW = np.ones((2, 16), "float32")


def zeros(*shape):
    return np.zeros(shape, "float32")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("lstm", KERNEL, None), r"`recurrent_kernel`: expected.*\[units, 4 \* units\].*None"),
        (("ind_rnn", zeros(3, 4), zeros(4, 4)), "`recurrent_kernel`: expected None.*an array"),
        (("ind_rnn", zeros(3, 4), None), r"`vectors`: expected.*\[1, units\].*None"),
    ],
)
def test_a_cell_is_given_the_weights_that_it_has(arguments, message):
    with pytest.raises(ValueError, match=message):
        Weights(*arguments)


@each_case(
    ("kernel", "recurrent", "projection"),
    [
        (KERNEL, RECURRENT, zeros(4, 2)),  # as many rows as units
        (KERNEL, NARROW, zeros(5, 2)),  # of five units
        (KERNEL, NARROW, zeros(4, 0)),
        (KERNEL, NARROW, zeros(0, 2)),
        (KERNEL, zeros(0, 16), zeros(4, 0)),
        (KERNEL, zeros(5, 16), zeros(4, 5)),  # wider than the units
        (KERNEL, NARROW, zeros(8)),
    ],
)
def test_a_projection_fits_units_and_recurrent_weights(kernel, recurrent, projection):
    with pytest.raises(ValueError, match=r"`(projection|recurrent_kernel)`: expected"):
        Weights("lstm", kernel, recurrent, projection=projection)


def test_a_cell_that_sees_its_output_has_no_projection():
    with pytest.raises(ValueError, match="`projection`: expected None, because the cell"):
        Weights("gru", zeros(3, 12), zeros(2, 12), reset_after=False, projection=zeros(4, 2))


@each_case("argument", ["clip", "recurrent_clip"])
@each_case("bound", [0.0, -1.0, float("nan")])
def test_a_bound_is_positive(argument, bound):
    with pytest.raises(ValueError, match=f"`{argument}`: expected a positive number"):
        Weights("lstm", KERNEL, RECURRENT, **{argument: bound})


def test_states_of_a_projected_cell_have_their_own_sizes():
    weights = Weights("lstm", KERNEL, NARROW, projection=zeros(4, 2))
    with pytest.raises(ValueError, match=r"`initial_state`: expected shape \[5, 2\].*\[5, 4\]"):
        Problem(weights, zeros(5, 6, 3), [zeros(5, 4), zeros(5, 4)])
    problem = Problem(weights, zeros(5, 6, 3), [zeros(5, 2), zeros(5, 4)])
    outputs, states, _ = rnn_forward(weights, problem)
    assert (outputs.shape, [state.shape for state in states]) == ((5, 6, 2), [(5, 2), (5, 4)])
