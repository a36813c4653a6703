"""The nodes of an ONNX graph, ready to run, and the errors that name them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ferrnn._src.interop.onnx.files import Node, OnnxError
from ferrnn._src.tree.types import Array

Run = Callable[[list[Any]], "list[Array]"]


class Planned(Protocol):
    """The steps of a graph, the constants they need, and the names of their outputs."""

    constants: dict[str, Array]
    outputs: list[str]
    steps: list[Step]


@dataclass
class Step:
    """A node that is ready to run; `branches` are those of an `If` that is not decided."""

    node: Node
    run: Run
    opset: int
    branches: Mapping[bool, Planned] | None = None


def run_step(step: Step, inputs: list[Any]) -> list[Array]:
    """The outputs of one node."""
    with np.errstate(all="ignore"), failed(step.node, inputs):
        return step.run(inputs)


@contextmanager
def failed(node: Node, inputs: list[Any]) -> Iterator[None]:
    """A block whose errors name the node."""
    try:
        yield
    except OnnxError:
        raise
    except (ValueError, TypeError, IndexError, KeyError, AttributeError) as error:
        shapes = [None if each is None else np.shape(each) for each in inputs]
        raise OnnxError(
            f"the {node.described()} cannot take inputs of the shapes {shapes}: {error}"
        ) from error
