"""Metrics: what they gather, weigh and show, and how `compile` chooses them."""

import numpy as np
import pytest

from each_case import each_case
from ferrnn import Variable
from ferrnn._src.layer.masked import attach_mask
from ferrnn._src.training import losses, metrics
from ferrnn._src.training.compiled import CompiledLoss, classification_kind
from ferrnn._src.training.compiled_metrics import CompiledMetrics

RNG = np.random.default_rng(2)


class TestMeans:
    def test_batches_count_by_their_size(self):
        metric = metrics.MeanAbsoluteError()
        metric.update_state(np.zeros((3, 1)), np.full((3, 1), 1.0))
        metric.update_state(np.zeros((1, 1)), np.full((1, 1), 5.0))
        assert metric.result() == 2.0
        metric.reset_state()
        assert metric.result() == 0.0

    @pytest.mark.parametrize(
        ("metric", "function"),
        [
            (metrics.MeanSquaredError(), lambda t, p: np.mean((t - p) ** 2)),
            (metrics.MeanAbsoluteError(), lambda t, p: np.mean(abs(t - p))),
            (metrics.RootMeanSquaredError(), lambda t, p: np.sqrt(np.mean((t - p) ** 2))),
        ],
    )
    def test_errors_over_all_batches(self, metric, function):
        true, pred = RNG.normal(size=(7, 3, 2)), RNG.normal(size=(7, 3, 2))
        for part in (slice(0, 4), slice(4, 7)):
            metric.update_state(true[part], pred[part])
        assert metric.result() == pytest.approx(function(true, pred), rel=1e-12)
        assert isinstance(metric.result(), float)

    def test_sample_weights(self):
        weights = [1.0, 0.0, 3.0]
        mean = metrics.Mean()
        mean.update_state([2.0, 100.0, 6.0], sample_weight=weights)
        assert mean.result() == (2 + 18) / 4
        metric = metrics.MeanSquaredError()
        metric.update_state(np.zeros((3, 2)), np.array([[1.0, 1], [9, 9], [2, 2]]), weights)
        assert metric.result() == (1 + 3 * 4) / 4

    def test_a_mask_that_rides_on_the_predictions(self):
        pred = attach_mask(np.arange(6.0).reshape(2, 3, 1), np.array([[1, 1, 0], [1, 0, 0]], bool))
        assert metrics.MeanAbsoluteError()(np.zeros((2, 3, 1)), pred) == pytest.approx(
            (0 + 1 + 3) / 3
        )

    def test_a_function_and_a_loss(self):
        worst = metrics.MeanMetricWrapper(lambda t, p: abs(t - p).max(-1), name="worst")
        assert worst(np.zeros((2, 2)), np.array([[1.0, 3.0], [1.0, 1.0]])) == 2
        assert "worst" in repr(worst)


class TestAccuracy:
    def test_binary(self):
        true = np.array([[1], [1], [0], [0]])
        assert metrics.BinaryAccuracy()(true, [[0.98], [0.5], [0.0], [0.6]]) == 0.5
        assert metrics.BinaryAccuracy(threshold=0.4)(true[:2], [[0.98], [0.5]]) == 1.0
        assert metrics.BinaryAccuracy()(true[:, 0], [[0.98], [0.5], [0.0], [0.6]]) == 0.5
        with pytest.raises(ValueError, match="`threshold`"):
            metrics.BinaryAccuracy(threshold=2)

    @pytest.mark.parametrize("steps", [(), (3,)])
    def test_categorical_and_sparse_agree(self, steps):
        pred = RNG.random((5, *steps, 4))
        labels = RNG.integers(0, 4, (5, *steps))
        expected = np.mean(pred.argmax(-1) == labels)
        assert metrics.CategoricalAccuracy()(np.eye(4)[labels], pred) == pytest.approx(expected)
        assert metrics.SparseCategoricalAccuracy()(labels, pred) == pytest.approx(expected)
        assert metrics.SparseCategoricalAccuracy()(labels[..., None], pred) == pytest.approx(
            expected
        )

    def test_exact(self):
        assert metrics.Accuracy()([[1], [2], [3], [4]], [[0], [2], [3], [4]]) == 0.75


def take(compiled, true, pred, weight=None, mask=None):
    """Lets the metrics of a model with one output take a batch."""
    compiled.bind(["output"])
    weights = None if weight is None else [weight]
    compiled.update([true], [pred], weights, None if mask is None else [mask])


class TestByName:
    @each_case(
        ("true", "pred", "kind"),
        [
            ((4, 1), (4, 1), "binary"),
            ((4,), (4, 1), "binary"),
            ((4,), (4, 3), "sparse"),
            ((4, 1), (4, 3), "sparse"),
            ((4, 7), (4, 7, 3), "sparse"),
            ((4, 3), (4, 3), "categorical"),
        ],
    )
    def test_accuracy_and_crossentropy_are_chosen_by_shapes(self, true, pred, kind):
        true, pred = np.zeros(true), np.full(pred, 0.5)
        assert classification_kind(true, pred) == kind
        compiled = CompiledMetrics(["acc"], None)
        take(compiled, true, pred)
        name = {"binary": "Binary", "sparse": "SparseCategorical", "categorical": "Categorical"}
        assert type(compiled.metrics[0]).__name__ == f"{name[kind]}Accuracy"
        crossentropy = CompiledLoss("crossentropy", None)
        crossentropy.bind(["output"], 0)
        loss = crossentropy.resolve(0, true, pred)
        assert type(loss).__name__ == f"{name[kind]}Crossentropy"

    def test_names_are_those_given(self):
        def my_metric(y_true, y_pred):
            return abs(y_true - y_pred)

        given = ["mae", "MSE", my_metric, metrics.MeanSquaredError(name="own"), "mae"]
        compiled = CompiledMetrics(given, ["mae", losses.MeanSquaredError()])
        take(compiled, np.zeros((2, 1)), np.full((2, 1), 3.0), np.array([1.0, 0.0]))
        assert compiled.result() == {
            "mae": 3.0,
            "MSE": 9.0,
            "my_metric": 3.0,
            "own": 9.0,
            "mae_1": 3.0,
            "weighted_mae": 3.0,
            "mean_squared_error": 9.0,
        }

    def test_only_weighted_metrics_see_weights(self):
        compiled = CompiledMetrics(["mae"], ["mse"])
        take(compiled, np.zeros((2, 1)), np.array([[1.0], [3.0]]), np.array([1.0, 0.0]))
        assert compiled.result() == {"mae": 2.0, "mse": 1.0}

    def test_masked_steps_do_not_count(self):
        mask = np.array([[True, False], [True, True]])
        pred = np.array([[[1.0], [50.0]], [[2.0], [3.0]]])
        for true in (np.zeros((2, 2, 1)), np.zeros((2, 2))):
            compiled = CompiledMetrics(["mae"], ["mse"])
            take(compiled, true, pred, np.array([1.0, 2.0]), mask)
            assert compiled.result()["mae"] == pytest.approx(2.0)
            assert compiled.result()["mse"] == pytest.approx((1 + 2 * 4 + 2 * 9) / 5)

    def test_mistakes_are_found_at_once(self):
        with pytest.raises(ValueError, match="Could not interpret metric identifier: 'mea'"):
            CompiledMetrics(["mea"], None)
        with pytest.raises(ValueError, match="Expected `metrics` argument to be a list"):
            CompiledMetrics("mae", None)
        with pytest.raises(ValueError, match=r"`loss` argument as a list.*of length 2, whereas"):
            CompiledLoss(["mse", "mse"], None).bind(["output"], 0)

    def test_get(self):
        assert isinstance(metrics.get("MeanSquaredError"), metrics.MeanSquaredError)
        made = metrics.get({"class_name": "BinaryAccuracy", "config": {"threshold": 0.25}})
        assert made.threshold == 0.25
        assert metrics.get(None) is None


@pytest.mark.parametrize("name", ["mse", "mae"])
@pytest.mark.parametrize("shape", [(5, 1), (3, 4, 2)])
def test_means_without_weights_count_as_those_with_ones(name, shape):
    rng = np.random.default_rng(3)
    plainly, weighed = metrics.get(name), metrics.get(name)
    for _ in range(3):
        y_true, y_pred = rng.standard_normal((2, *shape)).astype(np.float32)
        plainly.update_state(y_true, y_pred)
        weighed.update_state(y_true, y_pred, np.ones(len(y_pred), np.float32))
    assert float(plainly.result()) == pytest.approx(float(weighed.result()), rel=1e-6)
    assert plainly.count == weighed.count


def test_variables_and_metrics_in_lists_and_dicts_are_tracked():
    held = metrics.Mean(name="held")
    metric = metrics.MeanSquaredError()
    metric.more = {"a": [Variable(1.0)], "b": (Variable(2.0),)}
    metric.held = {"deep": [{"one": held}, metrics.Sum()]}
    metric.again = [metric.held["deep"][0], metric.more["b"]]
    metric.update_state([1.0], [3.0])
    held.update_state(5.0)
    assert len(metric.variables) == 2 + 2 + 2 + len(metrics.Sum().variables)
    metric.reset_state()
    assert not any(np.any(each.value) for each in metric.variables)


def test_variables_may_start_from_an_array_of_large_counts():
    metric = metrics.MeanIoU(2)
    start = np.array([[2**24 + 1, 3], [5, 7]])
    made = metric.add_variable((2, 2), initializer=start, dtype="int64", name="counts")
    np.testing.assert_array_equal(made.numpy(), start)
