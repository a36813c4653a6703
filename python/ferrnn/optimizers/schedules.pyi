from ferrnn._src.training.optimizers.schedules import (
    CosineDecay as CosineDecay,
)
from ferrnn._src.training.optimizers.schedules import (
    CosineDecayRestarts as CosineDecayRestarts,
)
from ferrnn._src.training.optimizers.schedules import (
    ExponentialDecay as ExponentialDecay,
)
from ferrnn._src.training.optimizers.schedules import (
    InverseTimeDecay as InverseTimeDecay,
)
from ferrnn._src.training.optimizers.schedules import (
    LearningRateSchedule as LearningRateSchedule,
)
from ferrnn._src.training.optimizers.schedules import (
    PiecewiseConstantDecay as PiecewiseConstantDecay,
)
from ferrnn._src.training.optimizers.schedules import (
    PolynomialDecay as PolynomialDecay,
)
from ferrnn._src.training.optimizers.schedules import (
    deserialize as deserialize,
)
from ferrnn._src.training.optimizers.schedules import (
    serialize as serialize,
)
