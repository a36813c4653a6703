"""Golden values of operations, by Keras on JAX."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from making import Cases, Random
from operation_tables import BINARY, NOT_ON_JAX, UNARY, leaves, other_cases


def operation_cases(cases: Cases) -> None:
    """Each operation on float32 inputs: all arrays that it gives."""
    for name, low, high in UNARY:
        random = Random(f"operation-{name}")
        inputs = [(random.uniform(3, 5, low=low, high=high)).astype("float32")]
        _add(cases, name, getattr(ops, name), inputs)
    for name in BINARY:
        random = Random(f"operation-{name}")
        inputs = [random.uniform(*shape, low=0.25, high=3).astype("float32")
                  for shape in ((3, 1), (2, 1, 4))]  # fmt: skip
        _add(cases, f"pair-{name}", getattr(ops, name), inputs)
    for name, function, shapes in other_cases(ops):
        if name not in NOT_ON_JAX:
            random = Random(f"operation-{name}")
            inputs = [random.normal(*shape, dtype="float32") for shape in shapes]
            _add(cases, f"other-{name}", function, inputs)


def _add(cases: Cases, name: str, function: Any, inputs: list[Any]) -> None:
    outputs = leaves(function(*(ops.convert_to_tensor(array) for array in inputs)))
    arrays = {f"input_{i}": array for i, array in enumerate(inputs)}
    arrays |= {f"output_{i}": np.asarray(array) for i, array in enumerate(outputs)}
    cases.add(name, {}, arrays)
