"""The losses by name: `get`, `serialize`, `deserialize`, and the conversion for `compile`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ferrnn._src.configs.names import snake_case
from ferrnn._src.configs.objects import Kind
from ferrnn._src.training.loss import Loss, LossFunctionWrapper
from ferrnn._src.training.losses import (
    alignments,
    crossentropies,
    focal,
    hinges,
    overlaps,
    pairs,
    regression,
)
from ferrnn._src.tree.types import Array

CLASSES: dict[Callable[..., Array], type[Loss]] = {
    regression.mean_squared_error: regression.MeanSquaredError,
    regression.mean_absolute_error: regression.MeanAbsoluteError,
    regression.mean_absolute_percentage_error: regression.MeanAbsolutePercentageError,
    regression.mean_squared_logarithmic_error: regression.MeanSquaredLogarithmicError,
    regression.huber: regression.Huber,
    regression.log_cosh: regression.LogCosh,
    regression.cosine_similarity: regression.CosineSimilarity,
    regression.poisson: regression.Poisson,
    regression.kl_divergence: regression.KLDivergence,
    crossentropies.binary_crossentropy: crossentropies.BinaryCrossentropy,
    crossentropies.categorical_crossentropy: crossentropies.CategoricalCrossentropy,
    crossentropies.sparse_categorical_crossentropy: crossentropies.SparseCategoricalCrossentropy,
    focal.binary_focal_crossentropy: focal.BinaryFocalCrossentropy,
    focal.categorical_focal_crossentropy: focal.CategoricalFocalCrossentropy,
    focal.categorical_generalized_cross_entropy: focal.CategoricalGeneralizedCrossEntropy,
    hinges.hinge: hinges.Hinge,
    hinges.squared_hinge: hinges.SquaredHinge,
    hinges.categorical_hinge: hinges.CategoricalHinge,
    overlaps.dice: overlaps.Dice,
    overlaps.tversky: overlaps.Tversky,
    pairs.circle: pairs.Circle,
    alignments.ctc: alignments.CTC,
}
_KNOWN: dict[str, Any] = {
    **{fn.__name__: fn for fn in CLASSES},
    **dict.fromkeys(("mse", "MSE"), regression.mean_squared_error),
    **dict.fromkeys(("mae", "MAE"), regression.mean_absolute_error),
    **dict.fromkeys(("mape", "MAPE"), regression.mean_absolute_percentage_error),
    **dict.fromkeys(("msle", "MSLE"), regression.mean_squared_logarithmic_error),
    **dict.fromkeys(("bce", "BCE"), crossentropies.binary_crossentropy),
    **dict.fromkeys(("kld", "KLD"), regression.kl_divergence),
    "LossFunctionWrapper": LossFunctionWrapper,
    # Names of earlier versions of Keras, in older programs.
    "logcosh": regression.log_cosh,
    "kullback_leibler_divergence": regression.kl_divergence,
}


_KIND = Kind("loss", "losses", Loss, _KNOWN)


def get(identifier: Any) -> Any:
    """The loss function or `Loss` object for a name, a configuration, or itself.

    >>> get("mse").__name__, get("MeanSquaredError")
    ('mean_squared_error', <MeanSquaredError name=mean_squared_error reduction=sum_over_batch_size>)
    """
    return _KIND.get(identifier)


def serialize(loss: Any) -> Any:
    """The configuration of a loss function or object, as plain data that Keras reads too.

    >>> serialize(get("Dice"))["module"], serialize(get("mse"))["config"]
    ('keras.losses', 'mean_squared_error')
    """
    return _KIND.serialize(loss)


def deserialize(name: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The loss for a configuration or a name; `custom_objects` come first.

    >>> deserialize({"class_name": "Huber", "config": {"delta": 2.0}}).delta
    2.0
    """
    return _KIND.deserialize(name, custom_objects)


def as_loss(identifier: Any) -> Loss:
    """The `Loss` object that training uses, with the name that the user gave.

    >>> as_loss("mse")
    <MeanSquaredError name=mse reduction=sum_over_batch_size>
    """
    found = get(identifier)
    if isinstance(found, Loss):
        return found
    name = identifier if isinstance(identifier, str) else snake_case(getattr(found, "__name__", ""))
    if found in CLASSES:
        loss = CLASSES[found]()
        loss.name = name
        return loss
    return LossFunctionWrapper(found, name=name or None)
