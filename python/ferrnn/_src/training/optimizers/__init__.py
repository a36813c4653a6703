"""The optimizers, and `get`."""

from ferrnn._src.training.optimizers import schedules
from ferrnn._src.training.optimizers.adam import Adam, AdamW
from ferrnn._src.training.optimizers.descent import SGD
from ferrnn._src.training.optimizers.factored import Adafactor
from ferrnn._src.training.optimizers.ftrl import Ftrl
from ferrnn._src.training.optimizers.moments import Adamax, Lamb, Lion, Nadam
from ferrnn._src.training.optimizers.muon import Muon
from ferrnn._src.training.optimizers.optimizer import Optimizer
from ferrnn._src.training.optimizers.registry import deserialize, get, serialize
from ferrnn._src.training.optimizers.schedule_free import ScheduleFreeAdamW
from ferrnn._src.training.optimizers.squares import Adadelta, Adagrad, RMSprop

__all__ = [
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Ftrl",
    "Lamb",
    "Lion",
    "Muon",
    "Nadam",
    "Optimizer",
    "RMSprop",
    "ScheduleFreeAdamW",
    "deserialize",
    "get",
    "schedules",
    "serialize",
]
