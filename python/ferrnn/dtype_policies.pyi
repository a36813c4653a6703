from ferrnn._src.configs.dtype_policy import DTypePolicy as DTypePolicy
from ferrnn._src.configs.dtype_policy import deserialize as deserialize
from ferrnn._src.configs.dtype_policy import get as get
from ferrnn._src.configs.dtype_policy import serialize as serialize

FloatDTypePolicy = DTypePolicy
