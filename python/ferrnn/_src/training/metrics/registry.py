"""The metrics by name: `get`, `serialize`, `deserialize`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ferrnn._src.configs.names import snake_case
from ferrnn._src.configs.objects import Kind
from ferrnn._src.training.metrics import (
    accuracies,
    confusion,
    curves,
    f_scores,
    iou,
    means,
    of_losses,
    regression,
)
from ferrnn._src.training.metrics.metric import Metric

CLASSES: tuple[type[Metric], ...] = (
    means.Mean,
    means.Sum,
    means.MeanMetricWrapper,
    means.MeanRelativeError,
    of_losses.MeanSquaredError,
    of_losses.RootMeanSquaredError,
    of_losses.MeanAbsoluteError,
    of_losses.MeanAbsolutePercentageError,
    of_losses.MeanSquaredLogarithmicError,
    of_losses.LogCoshError,
    of_losses.Poisson,
    of_losses.KLDivergence,
    of_losses.Hinge,
    of_losses.SquaredHinge,
    of_losses.CategoricalHinge,
    of_losses.BinaryCrossentropy,
    of_losses.CategoricalCrossentropy,
    of_losses.SparseCategoricalCrossentropy,
    regression.CosineSimilarity,
    regression.R2Score,
    regression.PearsonCorrelation,
    regression.ConcordanceCorrelation,
    accuracies.Accuracy,
    accuracies.BinaryAccuracy,
    accuracies.CategoricalAccuracy,
    accuracies.SparseCategoricalAccuracy,
    accuracies.TopKCategoricalAccuracy,
    accuracies.SparseTopKCategoricalAccuracy,
    confusion.TruePositives,
    confusion.FalsePositives,
    confusion.TrueNegatives,
    confusion.FalseNegatives,
    confusion.Precision,
    confusion.Recall,
    curves.SensitivityAtSpecificity,
    curves.SpecificityAtSensitivity,
    curves.PrecisionAtRecall,
    curves.RecallAtPrecision,
    curves.AUC,
    f_scores.F1Score,
    f_scores.FBetaScore,
    iou.IoU,
    iou.BinaryIoU,
    iou.MeanIoU,
    iou.OneHotIoU,
    iou.OneHotMeanIoU,
)
_KNOWN: dict[str, type[Metric]] = {
    **{cls.__name__: cls for cls in CLASSES},
    **{snake_case(cls.__name__): cls for cls in CLASSES},
    **dict.fromkeys(("mse", "MSE"), of_losses.MeanSquaredError),
    **dict.fromkeys(("mae", "MAE"), of_losses.MeanAbsoluteError),
    **dict.fromkeys(("mape", "MAPE"), of_losses.MeanAbsolutePercentageError),
    **dict.fromkeys(("msle", "MSLE"), of_losses.MeanSquaredLogarithmicError),
    **dict.fromkeys(("bce", "BCE"), of_losses.BinaryCrossentropy),
}


def named(name: str) -> type[Metric]:
    """The class of this name, or KeyError.

    >>> named("auc").__name__
    'AUC'
    """
    return _KNOWN[name]


_KIND = Kind("metric", "metrics", Metric, _KNOWN)


def get(identifier: Any) -> Any:
    """A `Metric`, or a function of (y_true, y_pred), from a name, a configuration, or itself.

    >>> get("mae")
    <MeanAbsoluteError name=mean_absolute_error>
    """
    return _KIND.get(identifier)


def serialize(metric: Any) -> Any:
    """The configuration of a metric, as plain data that Keras reads too.

    >>> serialize(get("AUC"))["class_name"]
    'AUC'
    """
    return _KIND.serialize(metric)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The metric of a configuration or a name; `custom_objects` are looked at first.

    >>> deserialize({"class_name": "BinaryAccuracy", "config": {"threshold": 0.25}}).threshold
    0.25
    """
    return _KIND.deserialize(config, custom_objects)
