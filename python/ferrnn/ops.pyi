from ferrnn import ops
from ferrnn._src.ops import *

# Keras has these names for parts of the same functions.
nn = ops
numpy = ops
