"""The metrics: classes that accumulate over an epoch, and functions with values per sample."""

from ferrnn._src.training.metrics.accuracies import Accuracy as Accuracy
from ferrnn._src.training.metrics.accuracies import BinaryAccuracy as BinaryAccuracy
from ferrnn._src.training.metrics.accuracies import CategoricalAccuracy as CategoricalAccuracy
from ferrnn._src.training.metrics.accuracies import (
    SparseCategoricalAccuracy as SparseCategoricalAccuracy,
)
from ferrnn._src.training.metrics.accuracies import (
    SparseTopKCategoricalAccuracy as SparseTopKCategoricalAccuracy,
)
from ferrnn._src.training.metrics.accuracies import (
    TopKCategoricalAccuracy as TopKCategoricalAccuracy,
)
from ferrnn._src.training.metrics.accuracies import accuracy as accuracy
from ferrnn._src.training.metrics.accuracies import binary_accuracy as binary_accuracy
from ferrnn._src.training.metrics.accuracies import categorical_accuracy as categorical_accuracy
from ferrnn._src.training.metrics.accuracies import (
    sparse_categorical_accuracy as sparse_categorical_accuracy,
)
from ferrnn._src.training.metrics.accuracies import (
    sparse_top_k_categorical_accuracy as sparse_top_k_categorical_accuracy,
)
from ferrnn._src.training.metrics.accuracies import (
    top_k_categorical_accuracy as top_k_categorical_accuracy,
)
from ferrnn._src.training.metrics.confusion import FalseNegatives as FalseNegatives
from ferrnn._src.training.metrics.confusion import FalsePositives as FalsePositives
from ferrnn._src.training.metrics.confusion import Precision as Precision
from ferrnn._src.training.metrics.confusion import Recall as Recall
from ferrnn._src.training.metrics.confusion import TrueNegatives as TrueNegatives
from ferrnn._src.training.metrics.confusion import TruePositives as TruePositives
from ferrnn._src.training.metrics.curves import AUC as AUC
from ferrnn._src.training.metrics.curves import PrecisionAtRecall as PrecisionAtRecall
from ferrnn._src.training.metrics.curves import RecallAtPrecision as RecallAtPrecision
from ferrnn._src.training.metrics.curves import SensitivityAtSpecificity as SensitivityAtSpecificity
from ferrnn._src.training.metrics.curves import SpecificityAtSensitivity as SpecificityAtSensitivity
from ferrnn._src.training.metrics.f_scores import F1Score as F1Score
from ferrnn._src.training.metrics.f_scores import FBetaScore as FBetaScore
from ferrnn._src.training.metrics.iou import BinaryIoU as BinaryIoU
from ferrnn._src.training.metrics.iou import IoU as IoU
from ferrnn._src.training.metrics.iou import MeanIoU as MeanIoU
from ferrnn._src.training.metrics.iou import OneHotIoU as OneHotIoU
from ferrnn._src.training.metrics.iou import OneHotMeanIoU as OneHotMeanIoU
from ferrnn._src.training.metrics.means import Mean as Mean
from ferrnn._src.training.metrics.means import MeanMetricWrapper as MeanMetricWrapper
from ferrnn._src.training.metrics.means import MeanRelativeError as MeanRelativeError
from ferrnn._src.training.metrics.means import Sum as Sum
from ferrnn._src.training.metrics.metric import Metric as Metric
from ferrnn._src.training.metrics.metric import plain as plain
from ferrnn._src.training.metrics.of_losses import BinaryCrossentropy as BinaryCrossentropy
from ferrnn._src.training.metrics.of_losses import (
    CategoricalCrossentropy as CategoricalCrossentropy,
)
from ferrnn._src.training.metrics.of_losses import CategoricalHinge as CategoricalHinge
from ferrnn._src.training.metrics.of_losses import Hinge as Hinge
from ferrnn._src.training.metrics.of_losses import KLDivergence as KLDivergence
from ferrnn._src.training.metrics.of_losses import LogCoshError as LogCoshError
from ferrnn._src.training.metrics.of_losses import MeanAbsoluteError as MeanAbsoluteError
from ferrnn._src.training.metrics.of_losses import (
    MeanAbsolutePercentageError as MeanAbsolutePercentageError,
)
from ferrnn._src.training.metrics.of_losses import MeanSquaredError as MeanSquaredError
from ferrnn._src.training.metrics.of_losses import (
    MeanSquaredLogarithmicError as MeanSquaredLogarithmicError,
)
from ferrnn._src.training.metrics.of_losses import Poisson as Poisson
from ferrnn._src.training.metrics.of_losses import RootMeanSquaredError as RootMeanSquaredError
from ferrnn._src.training.metrics.of_losses import (
    SparseCategoricalCrossentropy as SparseCategoricalCrossentropy,
)
from ferrnn._src.training.metrics.of_losses import SquaredHinge as SquaredHinge
from ferrnn._src.training.metrics.registry import deserialize as deserialize
from ferrnn._src.training.metrics.registry import get as get
from ferrnn._src.training.metrics.registry import serialize as serialize
from ferrnn._src.training.metrics.regression import ConcordanceCorrelation as ConcordanceCorrelation
from ferrnn._src.training.metrics.regression import CosineSimilarity as CosineSimilarity
from ferrnn._src.training.metrics.regression import PearsonCorrelation as PearsonCorrelation
from ferrnn._src.training.metrics.regression import R2Score as R2Score
from ferrnn._src.training.metrics.regression import (
    concordance_correlation as concordance_correlation,
)
from ferrnn._src.training.metrics.regression import pearson_correlation as pearson_correlation
