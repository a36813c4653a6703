from ferrnn._src.data.dataset import AUTOTUNE as AUTOTUNE
from ferrnn._src.data.dataset import INFINITE_CARDINALITY as INFINITE_CARDINALITY
from ferrnn._src.data.dataset import UNKNOWN_CARDINALITY as UNKNOWN_CARDINALITY
from ferrnn._src.data.dataset import Dataset as Dataset
