from ferrnn._src.activations.activations import (
    Activation as Activation,
)
from ferrnn._src.activations.activations import (
    celu as celu,
)
from ferrnn._src.activations.activations import (
    deserialize as deserialize,
)
from ferrnn._src.activations.activations import (
    elu as elu,
)
from ferrnn._src.activations.activations import (
    exponential as exponential,
)
from ferrnn._src.activations.activations import (
    gelu as gelu,
)
from ferrnn._src.activations.activations import (
    get as get,
)
from ferrnn._src.activations.activations import (
    glu as glu,
)
from ferrnn._src.activations.activations import (
    hard_shrink as hard_shrink,
)
from ferrnn._src.activations.activations import (
    hard_sigmoid as hard_sigmoid,
)
from ferrnn._src.activations.activations import (
    hard_silu as hard_silu,
)
from ferrnn._src.activations.activations import (
    hard_swish as hard_swish,
)
from ferrnn._src.activations.activations import (
    hard_tanh as hard_tanh,
)
from ferrnn._src.activations.activations import (
    leaky_relu as leaky_relu,
)
from ferrnn._src.activations.activations import (
    linear as linear,
)
from ferrnn._src.activations.activations import (
    log_sigmoid as log_sigmoid,
)
from ferrnn._src.activations.activations import (
    log_softmax as log_softmax,
)
from ferrnn._src.activations.activations import (
    mish as mish,
)
from ferrnn._src.activations.activations import (
    relu as relu,
)
from ferrnn._src.activations.activations import (
    relu6 as relu6,
)
from ferrnn._src.activations.activations import (
    selu as selu,
)
from ferrnn._src.activations.activations import (
    serialize as serialize,
)
from ferrnn._src.activations.activations import (
    sigmoid as sigmoid,
)
from ferrnn._src.activations.activations import (
    silu as silu,
)
from ferrnn._src.activations.activations import (
    soft_shrink as soft_shrink,
)
from ferrnn._src.activations.activations import (
    softmax as softmax,
)
from ferrnn._src.activations.activations import (
    softplus as softplus,
)
from ferrnn._src.activations.activations import (
    softsign as softsign,
)
from ferrnn._src.activations.activations import (
    sparse_plus as sparse_plus,
)
from ferrnn._src.activations.activations import (
    sparse_sigmoid as sparse_sigmoid,
)
from ferrnn._src.activations.activations import (
    sparsemax as sparsemax,
)
from ferrnn._src.activations.activations import (
    squareplus as squareplus,
)
from ferrnn._src.activations.activations import (
    swish as swish,
)
from ferrnn._src.activations.activations import (
    tanh as tanh,
)
from ferrnn._src.activations.activations import (
    tanh_shrink as tanh_shrink,
)
from ferrnn._src.activations.activations import (
    threshold as threshold,
)
