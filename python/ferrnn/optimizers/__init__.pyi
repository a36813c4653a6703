from ferrnn._src.training.optimizers.adam import Adam as Adam
from ferrnn._src.training.optimizers.adam import AdamW as AdamW
from ferrnn._src.training.optimizers.descent import SGD as SGD
from ferrnn._src.training.optimizers.factored import Adafactor as Adafactor
from ferrnn._src.training.optimizers.ftrl import Ftrl as Ftrl
from ferrnn._src.training.optimizers.loss_scaling import LossScaleOptimizer as LossScaleOptimizer
from ferrnn._src.training.optimizers.moments import Adamax as Adamax
from ferrnn._src.training.optimizers.moments import Lamb as Lamb
from ferrnn._src.training.optimizers.moments import Lion as Lion
from ferrnn._src.training.optimizers.moments import Nadam as Nadam
from ferrnn._src.training.optimizers.muon import Muon as Muon
from ferrnn._src.training.optimizers.optimizer import Optimizer as Optimizer
from ferrnn._src.training.optimizers.registry import (
    deserialize as deserialize,
)
from ferrnn._src.training.optimizers.registry import (
    get as get,
)
from ferrnn._src.training.optimizers.registry import (
    serialize as serialize,
)
from ferrnn._src.training.optimizers.schedule_free import (
    ScheduleFreeAdamW as ScheduleFreeAdamW,
)
from ferrnn._src.training.optimizers.several import MultiOptimizer as MultiOptimizer
from ferrnn._src.training.optimizers.several import OptimizerMap as OptimizerMap
from ferrnn._src.training.optimizers.squares import (
    Adadelta as Adadelta,
)
from ferrnn._src.training.optimizers.squares import (
    Adagrad as Adagrad,
)
from ferrnn._src.training.optimizers.squares import (
    RMSprop as RMSprop,
)
from ferrnn.optimizers import schedules as schedules
