"""Keras' operations on arrays: NumPy on plain ones, traced in users' code that is trained."""

import sys
from typing import TYPE_CHECKING

from ferrnn._src.faces import not_yet
from ferrnn._src.ops import *
from ferrnn._src.ops import __all__ as __all__

# Keras has these names for parts of the same functions.
nn = numpy = sys.modules[__name__]

if not TYPE_CHECKING:  # a type checker reports names that are missing by itself
    __getattr__ = not_yet(__name__)
