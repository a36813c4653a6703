"""Metrics of users, counts at thresholds, configurations of all metrics."""

import numpy as np
import pytest

from each_case import each_case
from ferrnn._src.training import losses, metrics
from ferrnn._src.training.compiled_metrics import CompiledMetrics

RNG = np.random.default_rng(2)


class Count(metrics.Metric):
    """A metric as users write one: variables, and NumPy on them."""

    def __init__(self, name="count", **kwargs):
        super().__init__(name=name, **kwargs)
        self.above = self.add_weight(name="above", initializer="zeros")
        self.seen = self.add_variable((2,), name="seen")
        self.inner = metrics.Sum()

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.above.assign_add(np.sum(y_pred > 0.5))
        self.above.assign(self.above + 1)
        self.above.assign_sub(1)
        self.seen.assign(self.seen + np.array([1, 2]))
        self.inner.update_state(y_pred)

    def result(self):
        return self.above / self.seen[0]

    def reset_state(self):
        self.above.assign(0.0)
        self.seen.assign(np.zeros(2))
        self.inner.reset_state()


class TestOwn:
    def test_keeps_variables(self):
        metric = Count(dtype="float64")
        assert metric(None, np.array([0.2, 0.7, 0.9])) == 2
        metric.update_state(None, np.array([0.8]))
        assert metric.result() == 1.5
        assert [v.name for v in metric.variables] == ["above", "seen", "total"]
        assert metric.variables[0].path == "count/above"
        assert not metric.variables[0].trainable
        assert f"{metric.above:.1f} {int(metric.above)}" == "3.0 3"
        metrics.Metric.reset_state(metric)
        assert [v.numpy().tolist() for v in metric.variables] == [0, [0, 0], 0]
        assert metric.get_config() == {"name": "count", "dtype": "float64"}

    def test_needs_the_base_constructor(self):
        class Forgetful(metrics.Metric):
            def __init__(self):
                self.add_variable()

        with pytest.raises(RuntimeError, match="forgot to call"):
            Forgetful()

    def test_is_logged_as_a_number_or_an_array(self):
        compiled = CompiledMetrics([Count(), metrics.F1Score()], None)
        compiled.bind(["output"])
        compiled.update([np.eye(2)], [np.eye(2)], None, None)
        result = compiled.result()
        assert type(result["count"]) is float
        np.testing.assert_allclose(result["f1_score"], [1, 1], rtol=1e-5)


def test_a_sum_is_weighted():
    total = metrics.Sum()
    total.update_state(np.ones((2, 3)), np.array([1.0, 2.0]))
    assert total.result() == 9
    assert total(np.ones((2, 3)), 2.0) == 21


def test_one_weight_for_a_whole_batch():
    mean = metrics.Mean()
    mean.update_state([1.0, 3.0], sample_weight=3.0)
    mean.update_state(6.0)
    assert mean.result() == (2 * 3 + 6) / 4
    assert (mean.total, mean.count) == (12, 4)
    assert [float(v) for v in mean.variables] == [12, 4]


@pytest.mark.parametrize("shape", [(4,), (4, 1), (3,), (4, 3), (1, 3), (1, 1)])
def test_the_root_of_squares_has_weights_of_rows_or_of_features(shape):
    true, pred = RNG.normal(size=(2, 4, 3))
    weights = RNG.uniform(0.25, 2.0, shape)
    metric = metrics.RootMeanSquaredError()
    metric.update_state(true, pred, weights)
    each = np.broadcast_to(weights[:, None] if shape == (4,) else weights, (4, 3))
    expected = np.sqrt(np.average((true - pred) ** 2, weights=each))
    assert metric.result() == pytest.approx(expected, rel=1e-13)
    assert float(metric.count) == pytest.approx(each.sum() / 3, rel=1e-13)


SETTINGS = {
    "MeanMetricWrapper": {"fn": losses.mean_squared_error, "name": "mine"},
    "MeanRelativeError": {"normalizer": [1.0, 2.0]},
    "BinaryAccuracy": {"threshold": 0.25},
    "TopKCategoricalAccuracy": {"k": 3},
    "SparseTopKCategoricalAccuracy": {"k": 3, "from_sorted_ids": True},
    "CosineSimilarity": {"axis": 0},
    "BinaryCrossentropy": {"from_logits": True},
    "SparseCategoricalCrossentropy": {"ignore_class": 3},
    "Precision": {"thresholds": [0.25, 0.75], "class_id": 1},
    "TruePositives": {"thresholds": 0.25},
    "SensitivityAtSpecificity": {"specificity": 0.25, "num_thresholds": 7},
    "SpecificityAtSensitivity": {"sensitivity": 0.25},
    "PrecisionAtRecall": {"recall": 0.25, "class_id": 2},
    "RecallAtPrecision": {"precision": 0.25},
    "AUC": {"thresholds": [0.5, 0.25], "curve": "PR", "label_weights": [1.0, 2.0]},
    "FBetaScore": {"beta": 2.0, "average": "macro", "threshold": 0.25},
    "F1Score": {"average": "micro"},
    "R2Score": {"num_regressors": 2},
    "IoU": {"num_classes": 3, "target_class_ids": [1]},
    "BinaryIoU": {"threshold": 0.25},
    "MeanIoU": {"num_classes": 3, "sparse_y_pred": False},
    "OneHotIoU": {"num_classes": 3, "target_class_ids": [1]},
    "OneHotMeanIoU": {"num_classes": 3, "ignore_class": 1},
}


@each_case("cls", metrics.registry.CLASSES)
def test_configurations_make_the_same_metric_again(cls):
    made = cls(**SETTINGS.get(cls.__name__, {}))
    plain = metrics.serialize(made)
    assert (plain["module"], plain["class_name"]) == ("keras.metrics", cls.__name__)
    again = metrics.deserialize(plain)
    assert type(again) is cls
    assert repr(again.get_config()) == repr(made.get_config())
    assert made.get_config()["dtype"] == ("int" if "IoU" in cls.__name__ else "float32")
    given = dict(SETTINGS.get(cls.__name__, {}))
    if given.pop("fn", None):
        assert made.get_config()["fn"]["config"] == "mean_squared_error"
    if cls is metrics.AUC:
        assert made.get_config()["thresholds"] == sorted(given.pop("thresholds"))
    for name, value in given.items():
        assert np.array_equal(made.get_config()[name], value)


def test_directions_are_known():
    directions = {
        cls.__name__: getattr(cls, "_direction", None) for cls in metrics.registry.CLASSES
    }
    unknown = {name for name, direction in directions.items() if direction is None}
    counts = {"TruePositives", "FalsePositives", "TrueNegatives", "FalseNegatives"}
    assert unknown == {"Mean", "Sum", "MeanMetricWrapper", *counts}
    assert metrics.MeanMetricWrapper(losses.huber)._direction == "down"
    assert metrics.MeanMetricWrapper(losses.Huber().values)._direction == "down"
    assert metrics.MeanMetricWrapper(len)._direction is None


class TestConfusion:
    def test_prediction_that_is_no_number_is_no_positive(self):
        for thresholds in ([0.5], [0.0, 0.5, 1.0]):
            metric = metrics.TruePositives(thresholds=thresholds)
            metric.update_state([1, 1], [np.nan, 0.75])
            assert np.ravel(metric.result())[len(thresholds) // 2] == 1

    def test_even_and_given_thresholds_agree(self):
        rng = np.random.default_rng(0)
        true, pred, weight = rng.integers(0, 2, 300), rng.random(300), rng.random(300)
        even = metrics.AUC(num_thresholds=11)
        given = metrics.AUC(thresholds=[*np.arange(1, 10) / 10 + 1e-5])
        assert not given._thresholds.even
        for metric in (even, given):
            metric.update_state(true, pred, weight)
        assert even.result() == pytest.approx(given.result(), rel=1e-3)

    def test_nothing_found_is_no_better_than_chance(self):
        assert metrics.AUC()([0, 1], [0.0, 0.0]) == 0.5
        assert metrics.AUC()([0, 1], [0.0, 1.0]) == 1

    def test_steps_have_weights(self):
        true, pred = RNG.integers(0, 2, (4, 3, 2)), RNG.random((4, 3, 2))
        weight = RNG.random((4, 3))
        metric = metrics.Recall()
        metric.update_state(true, pred, weight)
        hits = (true * (pred > 0.5) * weight[..., None]).sum()
        assert metric.result() == pytest.approx(hits / (true * weight[..., None]).sum())

    def test_errors(self):
        with pytest.raises(ValueError, match=r"in \[0, 1\]. Received: \[1.5\]"):
            metrics.Precision(thresholds=[0.5, 1.5])
        with pytest.raises(ValueError, match="`recall` must be in the range"):
            metrics.PrecisionAtRecall(1.5)
        with pytest.raises(ValueError, match="AUC curve"):
            metrics.AUC(curve="roll")
        with pytest.raises(ValueError, match="rank 2"):
            metrics.AUC(multi_label=True)([1, 0], [0.5, 0.5])
        with pytest.raises(ValueError, match="only when `multi_label`"):
            metrics.AUC(num_labels=3)
        with pytest.raises(ValueError, match="class_id"):
            metrics.Recall(class_id=1)([1, 0], [0.5, 0.5])
        with pytest.raises(ValueError, match=r"same shape.*\(2, 3\).*\(2, 2\)"):
            metrics.Recall()(np.ones((2, 3)), np.ones((2, 2)))
        with pytest.raises(ValueError, match="2D inputs"):
            metrics.F1Score()([1.0], [1.0])
        with pytest.raises(ValueError, match="Python float"):
            metrics.FBetaScore(beta=1)
        with pytest.raises(ValueError, match=r"range, which is \[0, 2\)"):
            metrics.IoU(2, [2])
        with pytest.raises(ValueError, match="class_aggregation"):
            metrics.R2Score("mean")


def test_results_before_any_batch():
    for cls in metrics.registry.CLASSES:
        made = cls(**SETTINGS.get(cls.__name__, {}))
        assert np.all(np.asarray(made.result()) == 0), cls


def test_r2_warns_of_too_few_samples():
    metric = metrics.R2Score(num_regressors=5)
    with pytest.warns(UserWarning, match="More independent predictors"):
        metric([[1.0], [2.0], [4.0]], [[1.0], [2.5], [4.0]])


def test_float_weights_of_whole_counts_are_warned_of():
    with pytest.warns(UserWarning, match="dtype is `int`"):
        metrics.MeanIoU(2).update_state([0, 1], [0, 1], np.array([0.5, 1.5]))


def test_r2_adjusts_by_samples_of_a_weight():
    """Keras' own example: three samples, three features, one regressor."""
    true = [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]
    pred = [[0.4, 0.5, 0.6], [0.1, 0.2, 0.3], [0.5, 0.8, 0.2]]
    metric = metrics.R2Score(None, num_regressors=1)
    np.testing.assert_allclose(metric(true, pred), [-0.26, -3.59, 0.13], atol=1e-6)
    metric.update_state(true, pred, sample_weight=[0.0, 0.0, 0.0])
    assert float(metric.num_samples) == 3
