from ferrnn._src.weights.constraints import (
    Constraint as Constraint,
)
from ferrnn._src.weights.constraints import (
    MaxNorm as MaxNorm,
)
from ferrnn._src.weights.constraints import (
    MinMaxNorm as MinMaxNorm,
)
from ferrnn._src.weights.constraints import (
    NonNeg as NonNeg,
)
from ferrnn._src.weights.constraints import (
    UnitNorm as UnitNorm,
)
from ferrnn._src.weights.constraints import (
    deserialize as deserialize,
)
from ferrnn._src.weights.constraints import (
    get as get,
)
from ferrnn._src.weights.constraints import (
    max_norm as max_norm,
)
from ferrnn._src.weights.constraints import (
    min_max_norm as min_max_norm,
)
from ferrnn._src.weights.constraints import (
    non_neg as non_neg,
)
from ferrnn._src.weights.constraints import (
    serialize as serialize,
)
from ferrnn._src.weights.constraints import (
    unit_norm as unit_norm,
)
