from ferrnn._src.training.loss import Loss as Loss
from ferrnn._src.training.losses.alignments import CTC as CTC
from ferrnn._src.training.losses.alignments import ctc as ctc
from ferrnn._src.training.losses.crossentropies import (
    BinaryCrossentropy as BinaryCrossentropy,
)
from ferrnn._src.training.losses.crossentropies import (
    CategoricalCrossentropy as CategoricalCrossentropy,
)
from ferrnn._src.training.losses.crossentropies import (
    SparseCategoricalCrossentropy as SparseCategoricalCrossentropy,
)
from ferrnn._src.training.losses.crossentropies import (
    binary_crossentropy as binary_crossentropy,
)
from ferrnn._src.training.losses.crossentropies import (
    categorical_crossentropy as categorical_crossentropy,
)
from ferrnn._src.training.losses.crossentropies import (
    sparse_categorical_crossentropy as sparse_categorical_crossentropy,
)
from ferrnn._src.training.losses.focal import (
    BinaryFocalCrossentropy as BinaryFocalCrossentropy,
)
from ferrnn._src.training.losses.focal import (
    CategoricalFocalCrossentropy as CategoricalFocalCrossentropy,
)
from ferrnn._src.training.losses.focal import (
    CategoricalGeneralizedCrossEntropy as CategoricalGeneralizedCrossEntropy,
)
from ferrnn._src.training.losses.focal import (
    binary_focal_crossentropy as binary_focal_crossentropy,
)
from ferrnn._src.training.losses.focal import (
    categorical_focal_crossentropy as categorical_focal_crossentropy,
)
from ferrnn._src.training.losses.focal import (
    categorical_generalized_cross_entropy as categorical_generalized_cross_entropy,
)
from ferrnn._src.training.losses.hinges import (
    CategoricalHinge as CategoricalHinge,
)
from ferrnn._src.training.losses.hinges import (
    Hinge as Hinge,
)
from ferrnn._src.training.losses.hinges import (
    SquaredHinge as SquaredHinge,
)
from ferrnn._src.training.losses.hinges import (
    categorical_hinge as categorical_hinge,
)
from ferrnn._src.training.losses.hinges import (
    hinge as hinge,
)
from ferrnn._src.training.losses.hinges import (
    squared_hinge as squared_hinge,
)
from ferrnn._src.training.losses.overlaps import (
    Dice as Dice,
)
from ferrnn._src.training.losses.overlaps import (
    Tversky as Tversky,
)
from ferrnn._src.training.losses.overlaps import (
    dice as dice,
)
from ferrnn._src.training.losses.overlaps import (
    tversky as tversky,
)
from ferrnn._src.training.losses.pairs import Circle as Circle
from ferrnn._src.training.losses.pairs import circle as circle
from ferrnn._src.training.losses.registry import (
    deserialize as deserialize,
)
from ferrnn._src.training.losses.registry import (
    get as get,
)
from ferrnn._src.training.losses.registry import (
    serialize as serialize,
)
from ferrnn._src.training.losses.regression import (
    CosineSimilarity as CosineSimilarity,
)
from ferrnn._src.training.losses.regression import (
    Huber as Huber,
)
from ferrnn._src.training.losses.regression import (
    KLDivergence as KLDivergence,
)
from ferrnn._src.training.losses.regression import (
    LogCosh as LogCosh,
)
from ferrnn._src.training.losses.regression import (
    MeanAbsoluteError as MeanAbsoluteError,
)
from ferrnn._src.training.losses.regression import (
    MeanAbsolutePercentageError as MeanAbsolutePercentageError,
)
from ferrnn._src.training.losses.regression import (
    MeanSquaredError as MeanSquaredError,
)
from ferrnn._src.training.losses.regression import (
    MeanSquaredLogarithmicError as MeanSquaredLogarithmicError,
)
from ferrnn._src.training.losses.regression import (
    Poisson as Poisson,
)
from ferrnn._src.training.losses.regression import (
    cosine_similarity as cosine_similarity,
)
from ferrnn._src.training.losses.regression import (
    huber as huber,
)
from ferrnn._src.training.losses.regression import (
    kl_divergence as kl_divergence,
)
from ferrnn._src.training.losses.regression import (
    log_cosh as log_cosh,
)
from ferrnn._src.training.losses.regression import (
    mean_absolute_error as mean_absolute_error,
)
from ferrnn._src.training.losses.regression import (
    mean_absolute_percentage_error as mean_absolute_percentage_error,
)
from ferrnn._src.training.losses.regression import (
    mean_squared_error as mean_squared_error,
)
from ferrnn._src.training.losses.regression import (
    mean_squared_logarithmic_error as mean_squared_logarithmic_error,
)
from ferrnn._src.training.losses.regression import (
    poisson as poisson,
)
