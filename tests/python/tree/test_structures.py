"""`keras.tree` and `keras.Variable`."""

from typing import Any, NamedTuple

import numpy as np
import pytest

import ferrnn as keras
from each_case import each_case
from ferrnn import tree


class Point(NamedTuple):
    x: Any
    y: Any


def test_named_tuples_stay_themselves():
    assert tree.map_structure(lambda leaf: leaf + 1, Point(1, [2])) == Point(2, [3])
    assert tree.flatten_with_path(Point(1, [2])) == [((0,), 1), ((1, 0), 2)]
    assert tree.traverse(lambda part: 5 if part == 2 else None, Point(1, (2,))) == Point(1, (5,))
    assert tree.map_structure_up_to(Point(0, 0), lambda part: part, Point(1, [2])) == Point(1, [2])
    assert tree.lists_to_tuples(Point(1, [2])) == Point(1, (2,))


def test_leaves_stand_in_the_order_of_sorted_keys():
    assert tree.flatten({"b": 1, "a": [2, 3]}) == [2, 3, 1]
    assert tree.flatten(None) == [None]
    assert tree.flatten([[], {}]) == []


def test_traverse_from_the_bottom_sees_what_was_replaced():
    seen = []

    def function(part):
        seen.append(part)
        return tree.MAP_TO_NONE if part == [0] else 0 if part == 1 else None

    assert tree.traverse(function, {"a": [1]}, top_down=False) == {"a": None}
    assert seen == [1, [0], {"a": None}]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda: tree.assert_same_structure([1, 2], [1]), r"expected the keys \[0, 1\]"),
        (lambda: tree.assert_same_structure([1, 2], (1, 2)), r"expected a list \[1, 2\], received"),
        (lambda: tree.assert_same_structure([1], 1), "received the leaf 1"),
        (lambda: tree.assert_same_paths([1, 2], {"a": 1}), "the paths differ"),
        (lambda: tree.pack_sequence_as([1, 2], [1]), "must hold 2 leaves .* received 1"),
    ],
)
def test_structures_that_differ_are_refused(function, message):
    with pytest.raises(ValueError, match=message):
        function()


class TestVariable:
    @each_case(
        ("value", "dtype"),
        [(1, "int32"), (1.5, "float32"), ([1, 2], "int32"), ([0.5], "float32"), (True, "bool"),
         (np.ones(2), "float64"), (np.ones(2, "int64"), "int64")],
    )  # fmt: skip
    def test_values_have_the_dtypes_of_keras(self, value, dtype):
        variable = keras.Variable(value)
        assert variable.dtype == dtype
        np.testing.assert_array_equal(variable, value)

    def test_an_initializer_makes_it(self):
        variable = keras.Variable(keras.initializers.Ones(), shape=(2, 3), name="ones")
        assert (variable.shape, variable.dtype, variable.path) == ((2, 3), "float32", "ones")
        with pytest.raises(ValueError, match="the `shape` argument should be specified"):
            keras.Variable(keras.initializers.Ones())
        with pytest.raises(ValueError, match=r"given shape \(3,\), received .* shape \(2,\)"):
            keras.Variable([1, 2], shape=(3,))

    def test_names_are_counted(self):
        assert [keras.Variable(0).name for _ in range(2)] == ["variable", "variable_1"]
        with pytest.raises(ValueError, match="cannot contain character `/`"):
            keras.Variable(0, name="a/b")

    def test_every_weight_is_one(self):
        layer = keras.layers.Dense(1)
        layer.build((None, 2))
        assert all(isinstance(weight, keras.Variable) for weight in layer.weights)
        assert not isinstance(np.ones(2), keras.Variable)

    def test_arithmetic_gives_arrays(self):
        variable = keras.Variable([1.0, 2.0])
        for result in (variable + 1, 1 + variable, -variable, variable @ variable, variable[0]):
            assert not isinstance(result, keras.Variable)
        assert (3 - variable * 2).tolist() == [1, -1]
        assert (variable > 1).tolist() == [False, True]
        assert variable == variable  # noqa: PLR0124
        assert variable in [keras.Variable([1.0, 2.0]), variable]
        assert [float(entry) for entry in variable] == [1, 2]
        variable.assign_add([1, 1])
        variable.assign_sub(keras.Variable([0.0, 2.0]))
        assert variable.numpy().tolist() == [2, 1]

    def test_layers_track_and_train_them(self):
        class Shifted(keras.layers.Layer):
            def __init__(self):
                super().__init__()
                self.shift = keras.Variable([0.5, 0.5], name="shift")
                self.calls = keras.Variable(0, trainable=False, name="calls")

            def call(self, inputs):
                self.calls.assign_add(1)
                return inputs + self.shift

        model = keras.Sequential([Shifted()])
        model.compile(keras.optimizers.SGD(0.5), "mse")
        model.fit(np.zeros((4, 2)), np.ones((4, 2)), batch_size=4, verbose=0)
        shift, calls = model.weights
        assert shift.numpy().tolist() == [0.75, 0.75]
        assert calls.numpy() == 1
