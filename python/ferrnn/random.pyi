from ferrnn._src.ops.drawing import (
    beta as beta,
)
from ferrnn._src.ops.drawing import (
    binomial as binomial,
)
from ferrnn._src.ops.drawing import (
    categorical as categorical,
)
from ferrnn._src.ops.drawing import (
    dropout as dropout,
)
from ferrnn._src.ops.drawing import (
    gamma as gamma,
)
from ferrnn._src.ops.drawing import (
    normal as normal,
)
from ferrnn._src.ops.drawing import (
    randint as randint,
)
from ferrnn._src.ops.drawing import (
    shuffle as shuffle,
)
from ferrnn._src.ops.drawing import (
    truncated_normal as truncated_normal,
)
from ferrnn._src.ops.drawing import (
    uniform as uniform,
)
from ferrnn._src.weights.random import SeedGenerator as SeedGenerator
