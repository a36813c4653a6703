from ferrnn._src.weights.initializer import Initializer as Initializer
from ferrnn._src.weights.initializers import (
    Constant as Constant,
)
from ferrnn._src.weights.initializers import (
    Identity as Identity,
)
from ferrnn._src.weights.initializers import (
    IdentityInitializer as IdentityInitializer,
)
from ferrnn._src.weights.initializers import (
    Ones as Ones,
)
from ferrnn._src.weights.initializers import (
    OrthogonalInitializer as OrthogonalInitializer,
)
from ferrnn._src.weights.initializers import (
    Zeros as Zeros,
)
from ferrnn._src.weights.initializers import (
    deserialize as deserialize,
)
from ferrnn._src.weights.initializers import (
    get as get,
)
from ferrnn._src.weights.initializers import (
    serialize as serialize,
)
from ferrnn._src.weights.random_initializers import (
    GlorotNormal as GlorotNormal,
)
from ferrnn._src.weights.random_initializers import (
    GlorotUniform as GlorotUniform,
)
from ferrnn._src.weights.random_initializers import (
    HeNormal as HeNormal,
)
from ferrnn._src.weights.random_initializers import (
    HeUniform as HeUniform,
)
from ferrnn._src.weights.random_initializers import (
    LecunNormal as LecunNormal,
)
from ferrnn._src.weights.random_initializers import (
    LecunUniform as LecunUniform,
)
from ferrnn._src.weights.random_initializers import (
    Orthogonal as Orthogonal,
)
from ferrnn._src.weights.random_initializers import (
    RandomNormal as RandomNormal,
)
from ferrnn._src.weights.random_initializers import (
    RandomUniform as RandomUniform,
)
from ferrnn._src.weights.random_initializers import (
    TruncatedNormal as TruncatedNormal,
)
from ferrnn._src.weights.random_initializers import (
    VarianceScaling as VarianceScaling,
)
from ferrnn._src.weights.spectral import STFT as STFT

STFTInitializer = STFT
constant = Constant
glorot_normal = GlorotNormal
glorot_uniform = GlorotUniform
he_normal = HeNormal
he_uniform = HeUniform
identity = Identity
lecun_normal = LecunNormal
lecun_uniform = LecunUniform
ones = Ones
orthogonal = Orthogonal
random_normal = RandomNormal
random_uniform = RandomUniform
stft = STFT
truncated_normal = TruncatedNormal
variance_scaling = VarianceScaling
zeros = Zeros
