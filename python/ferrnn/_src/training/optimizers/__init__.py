"""The optimizers, and `get`."""

from ferrnn._src.training.optimizers import schedules
from ferrnn._src.training.optimizers.adam import Adam, AdamW
from ferrnn._src.training.optimizers.descent import SGD
from ferrnn._src.training.optimizers.ftrl import Ftrl
from ferrnn._src.training.optimizers.moments import Adamax, Lion, Nadam
from ferrnn._src.training.optimizers.optimizer import Optimizer
from ferrnn._src.training.optimizers.registry import deserialize, get, serialize
from ferrnn._src.training.optimizers.squares import Adadelta, Adagrad, RMSprop

__all__ = [
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Ftrl",
    "Lion",
    "Nadam",
    "Optimizer",
    "RMSprop",
    "deserialize",
    "get",
    "schedules",
    "serialize",
]
