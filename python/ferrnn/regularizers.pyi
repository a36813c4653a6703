from ferrnn._src.weights.regularizers import (
    L1 as L1,
)
from ferrnn._src.weights.regularizers import (
    L1L2 as L1L2,
)
from ferrnn._src.weights.regularizers import (
    L2 as L2,
)
from ferrnn._src.weights.regularizers import (
    OrthogonalRegularizer as OrthogonalRegularizer,
)
from ferrnn._src.weights.regularizers import (
    Regularizer as Regularizer,
)
from ferrnn._src.weights.regularizers import (
    deserialize as deserialize,
)
from ferrnn._src.weights.regularizers import (
    get as get,
)
from ferrnn._src.weights.regularizers import (
    l1 as l1,
)
from ferrnn._src.weights.regularizers import (
    l1_l2 as l1_l2,
)
from ferrnn._src.weights.regularizers import (
    l2 as l2,
)
from ferrnn._src.weights.regularizers import (
    orthogonal_regularizer as orthogonal_regularizer,
)
from ferrnn._src.weights.regularizers import (
    serialize as serialize,
)
