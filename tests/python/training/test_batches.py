"""Batches: order, shuffling, splits, weights, and words for data that does not fit."""

import numpy as np
import pytest

from ferrnn._src.training.batches import Batches
from ferrnn._src.training.samples import Samples, as_samples, split_off_last


def rows(batches):
    return [x.ravel().tolist() for x, _, _ in batches]


class TestOrder:
    def test_in_order_without_copies(self):
        data = np.arange(10.0)
        batches = Batches(Samples(data, data * 2, data * 3), batch_size=4)
        assert rows(batches) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
        assert len(batches) == 3
        for x, y, weight in batches:
            assert np.shares_memory(x, data)
            np.testing.assert_array_equal(y, x * 2)
            np.testing.assert_array_equal(weight, x * 3)

    def test_shuffled_anew_for_each_pass_and_kept_together(self):
        data = np.arange(50)
        batches = Batches(Samples(data[:, None], data * 2), batch_size=7, shuffle=True, seed=5)
        passes = []
        for _ in range(2):
            for x, y, _ in batches:
                np.testing.assert_array_equal(x[:, 0] * 2, y)
            passes.append(np.concatenate(rows(batches)).tolist())
        assert passes[0] != passes[1]
        assert sorted(passes[0]) == sorted(passes[1]) == data.tolist()
        again = Batches(Samples(data), batch_size=7, shuffle=True, seed=5)
        list(again)
        assert np.concatenate(rows(again)).tolist() == passes[0]

    def test_shuffled_within_blocks(self):
        order = np.concatenate(
            rows(Batches(Samples(np.arange(450)), batch_size=2, shuffle="batch", seed=1))
        )
        assert order.tolist() != list(range(450))
        for start in (0, 200, 400):
            assert sorted(order[start : start + 200]) == list(range(start, min(start + 200, 450)))

    def test_default_batch_size_is_32(self):
        assert len(Batches(Samples(np.zeros(65)))) == 3

    @pytest.mark.parametrize("size", [0, -1, 2.5, True, "8"])
    def test_batch_size_must_be_a_positive_integer(self, size):
        with pytest.raises(ValueError, match="`batch_size` must be a positive integer"):
            Batches(Samples(np.zeros(4)), batch_size=size)

    def test_shuffle_must_be_known(self):
        with pytest.raises(ValueError, match="`shuffle`"):
            Batches(Samples(np.zeros(4)), shuffle="blocks")


class TestSplit:
    @pytest.mark.parametrize(
        ("count", "fraction", "kept"), [(10, 0.25, 7), (10, 0.2, 8), (3, 0.5, 1)]
    )
    def test_the_last_part_is_split_off(self, count, fraction, kept):
        data = np.arange(count)
        train, rest = split_off_last(Samples(data, data, data), fraction)
        assert train.x.tolist() == train.y.tolist() == data[:kept].tolist()
        assert rest.sample_weight.tolist() == data[kept:].tolist()

    def test_both_sides_need_samples(self):
        with pytest.raises(ValueError, match="contains 1 samples, which is not sufficient"):
            split_off_last(Samples(np.zeros(1)), 0.5)
        for fraction in (1.0, 1.5, -0.1, "0.2"):
            with pytest.raises(ValueError, match="`validation_split` must lie between 0 and 1"):
                split_off_last(Samples(np.zeros(10)), fraction)


class TestClassWeight:
    @pytest.mark.parametrize(
        "labels",
        [np.array([0, 1, 2]), np.array([[0], [1], [2]]), np.eye(3), np.array([0.0, 1.0, 2.0])],
    )
    def test_by_label(self, labels):
        weighted = Samples(np.zeros(3), labels).weighted({0: 2.0, 2: 0.5})
        assert weighted.sample_weight.tolist() == [2.0, 1.0, 0.5]

    def test_not_together_with_sample_weight(self):
        with pytest.raises(ValueError, match="`class_weight` and `sample_weight`"):
            Samples(np.zeros(1), np.zeros(1), np.ones(1)).weighted({0: 2.0, 2: 0.5})
        with pytest.raises(ValueError, match="must be given with `class_weight`"):
            Samples(np.zeros(1)).weighted({0: 2.0, 2: 0.5})


class TestWhatIsTaken:
    def test_arrays_as_they_are(self):
        data = np.zeros((4, 2))[::2]
        assert as_samples(data, "x") is data
        assert as_samples([data], "x") is data
        assert as_samples(None, "y") is None

    def test_anything_that_is_an_array(self):
        class Series:
            def __array__(self, dtype=None, copy=None):
                return np.arange(3.0)

            def to_frame(self):
                return self

        assert as_samples(Series(), "x").shape == (3, 1)

    @pytest.mark.parametrize(
        ("data", "error", "words"),
        [
            ([1.0, 2.0], ValueError, "Unrecognized data type: x=list"),
            ([np.zeros(3), 3.0], ValueError, "Unrecognized data type: x=list"),
            ({"a": [1.0, 2.0]}, ValueError, "Unrecognized data type: x=dict"),
            (np.array([1j, 2j]), TypeError, "must hold real numbers"),
            (np.array(3.0), ValueError, "first axis of samples"),
        ],
    )
    def test_everything_else_is_named(self, data, error, words):
        with pytest.raises(error, match=words):
            as_samples(data, "x")

    def test_counts_must_agree(self):
        with pytest.raises(
            ValueError, match=r"cardinality is ambiguous.*'x' sizes: 3, 'y' sizes: 2"
        ):
            Samples.of(np.zeros(3), np.zeros(2))
        with pytest.raises(ValueError, match="`x` must be an array of samples, received None"):
            Samples.of(None)
