"""The optimizers, and `get`."""

from ferrnn.training.optimizers import schedules
from ferrnn.training.optimizers.adam import Adam, AdamW
from ferrnn.training.optimizers.descent import SGD
from ferrnn.training.optimizers.ftrl import Ftrl
from ferrnn.training.optimizers.moments import Adamax, Lion, Nadam
from ferrnn.training.optimizers.optimizer import Optimizer
from ferrnn.training.optimizers.registry import deserialize, get, serialize
from ferrnn.training.optimizers.squares import Adadelta, Adagrad, RMSprop

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
