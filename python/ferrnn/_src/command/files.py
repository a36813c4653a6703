"""The commands for model files: info, convert, verify, bench."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ferrnn._src.command.inputs import own_inputs, random_inputs, read_inputs
from ferrnn._src.command.sources import ONNX, TORCH, Source
from ferrnn._src.files.archive import opened
from ferrnn._src.files.errors import reading
from ferrnn._src.files.safetensors import is_safetensors
from ferrnn._src.interop.from_torch import described
from ferrnn._src.interop.load_model import load_model
from ferrnn._src.interop.onnx.files import Graph, read_model
from ferrnn._src.interop.onnx.model import OnnxModel, from_onnx
from ferrnn._src.interop.save_model import save_model
from ferrnn._src.interop.to_onnx import export_model
from ferrnn._src.interop.verifying import Report, in_keras, verify
from ferrnn._src.models.hdf5 import opened as opened_hdf5
from ferrnn._src.models.native_file import stored_probe
from ferrnn._src.models.precisions import in_words, set_precision
from ferrnn._src.models.probes import PROBE_FILE

_ONNX = ".onnx"
_FORMATS = (".keras", ".h5", ".hdf5", ".safetensors", _ONNX)


def info(path: Path) -> Iterator[str]:
    """Lines about a file: format, size, layers, origin and warnings.

    The first line comes before the file is opened as a model, which may fail.
    """
    kind = Source(path).kind
    with reading(path):
        arrays = _weights_alone(path)
        first = f"{path}: {_size(path):,} bytes, {_origin(path, kind)}"
    yield first
    if kind == ONNX:
        yield from _of_graph(from_onnx(path))
    elif kind == TORCH:
        yield (
            "weights alone, for `ferrnn.from_torch(path, layers=[...])` or "
            "`ferrnn convert IN OUT --layers ...`:"
        )
        yield from described(path)
    elif arrays is not None:
        yield "weights alone, for `load_weights` of a model:"
        yield from arrays
    else:
        yield from _of_model(path)


def _of_model(path: Path) -> list[str]:
    """Lines about a model: layers, compilation, whether it has a probe, and warnings."""
    with warnings_given() as said:
        model = load_model(path)
    lines: list[str] = []
    model.summary(print_fn=lines.append)
    if model.optimizer is not None:
        lines.append(f"compiled with {type(model.optimizer).__name__}, loss {model.loss!r}")
    kept = _has_probe(path)
    if kept is not None:
        lines.append("with a probe, which holds on this machine" if kept else "no probe")
    if words := in_words(model):
        lines.append(f"weights for inference in {words}")
    return [*lines, *(f"warning: {each}" for each in said)]


def _of_graph(model: OnnxModel) -> list[str]:
    """Lines about an ONNX graph: inputs, outputs, nodes, and whether it is a chain of layers."""
    lines = [f"input {each.name}: {each.shape}, {each.dtype}" for each in model.inputs]
    lines += [f"output {each.name}: {each.shape}" for each in model.outputs]
    counts = Counter(step.node.operator for step in model.plan.steps)
    nodes = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    lines.append(
        f"{_numbers(model.graph):,} numbers in constants; nodes once they are folded: {nodes}"
    )
    try:
        layers = model.to_layers()
    except ValueError as error:
        return [*lines, str(error)]
    layers.summary(print_fn=lines.append)
    return lines


def _numbers(graph: Graph) -> int:
    """The number of floats in the constants of a graph and of its subgraphs."""
    values = [each for node in graph.nodes for each in node.attributes.values()]
    inner = sum(_numbers(each) for each in values if isinstance(each, Graph))
    arrays = [*graph.constants.values(), *(each for each in values if isinstance(each, np.ndarray))]
    return inner + sum(each.size for each in arrays if each.dtype.kind == "f")


def _weights_alone(path: Path) -> list[str] | None:
    """One line for each array of an HDF5 file without a model; None for other files."""
    if path.is_dir() or path.suffix not in (".h5", ".hdf5"):
        return None
    with path.open("rb") as source:
        if not source.read(8).startswith(b"\x89HDF"):
            return None
        with opened_hdf5(source) as file:
            if "model_config" in file.attrs:
                return None
            found: list[str] = []
            # Links to other places are not followed.
            file.visititems(
                lambda name, each: (
                    found.append(f"{name} {each.shape}") if hasattr(each, "shape") else None
                )
            )
            return found


def convert(
    source: Source, target: Path, keras: int | None = None, precision: str | None = None
) -> None:
    """Writes a model in the format of the target's extension.

    `keras` is the version that a `.h5` file is for; `precision` is that of recurrent layers'
    weights for inference, which only ferrnn's own format stores.

    Raises:
        ValueError: The target's extension is unknown, or the source is not a chain of layers.
    """
    if target.suffix not in _FORMATS:
        raise ValueError(f"OUT must end in one of {', '.join(_FORMATS)}, received {target}")
    if keras is not None and target.suffix not in (".h5", ".hdf5"):
        raise ValueError(f"`--keras` is only for `.h5` files, received {keras} for {target}")
    if precision is not None and target.suffix != ".safetensors":
        raise ValueError(
            f"`--precision` is only for `.safetensors` files, received {precision} for {target}"
        )
    model = source.model()
    if precision is not None:
        set_precision(model, precision)
    if target.suffix == _ONNX:
        export_model(model, target)
    else:
        save_model(model, target, keras=keras)


def verified(source: Source, against: str | None, inputs: Path | None) -> Report:
    """Compares the model of a file with a second source, on inputs of a file or random ones.

    An ONNX file is compared node by node, by default with ONNX Runtime if that is installed.
    """
    known = against is None or against in ("float64", "onnxruntime", "keras")
    if not known and not Path(str(against)).exists():
        raise ValueError(
            "`--against` must be float64, onnxruntime, keras, or an existing file, received "
            f"{against}"
        )
    if source.kind == ONNX:
        return _verified_graph(source, against, inputs)
    model = source.model()
    given = random_inputs(model) if inputs is None else read_inputs(inputs)
    report = verify(model, given, _second(source, against, given))
    words = in_words(model)
    return report if words is None else replace(report, against=f"{report.against}, from {words}")


def _second(source: Source, against: str | None, given: Any) -> Any:
    """The second source for a model of layers."""
    if against is None or against in ("float64", "onnxruntime"):
        return against or "float64"
    if against == "keras":
        return in_keras(source.path)(given)
    other = Path(against)
    return from_onnx(other) if Source(other).kind == ONNX else Source(other).model()


def _verified_graph(source: Source, against: str | None, inputs: Path | None) -> Report:
    model = source.graph()
    given = random_inputs(model) if inputs is None else read_inputs(inputs)
    with own_inputs(model, chosen=inputs is not None):
        model.predict(given)
    if against is None:
        against = "float64" if find_spec("onnxruntime") is None else "onnxruntime"
    if against in ("float64", "onnxruntime"):
        return verify(model, given, against)
    if against == "keras":
        raise ValueError(f"`--against keras` is only for files of Keras, received {source.path}")
    other = Source(Path(against))
    if other.kind == ONNX:
        return verify(model, given, other.graph())
    arrays = list(model.checked(given).values())
    run = other.model()
    return verify(model, given, lambda _: run.predict_on_batch(arrays))


def _origin(path: Path, kind: str) -> str:
    """The format of a file, and the program that wrote it."""
    if kind == ONNX:
        model = read_model(path.read_bytes())
        return (
            f"ONNX of opset {model.opset} by {model.producer or 'nobody'} {model.producer_version}"
        )
    if kind == TORCH:
        return "safetensors" if is_safetensors(path) else "a file of PyTorch"
    begin = b""
    if not path.is_dir():
        with path.open("rb") as file:
            begin = file.read(8)
    if begin.startswith(b"\x89HDF"):
        with path.open("rb") as source, opened_hdf5(source) as file:
            version = file.attrs.get("keras_version", "unknown")
        return f"HDF5 of Keras {version.decode() if isinstance(version, bytes) else version}"
    if begin.startswith(b"PK"):
        with opened(path) as parts:
            text = parts.read("metadata.json")
        version = json.loads(text or b"{}").get("keras_version", "unknown")
        return f"an archive of Keras {version}"
    return "a folder" if path.is_dir() else path.suffix.lstrip(".") or "of no known name"


def _has_probe(path: Path) -> bool | None:
    """Whether a file holds a probe; None for a format that never does."""
    if path.suffix == ".safetensors":
        return stored_probe(path) is not None
    if path.suffix == ".keras":
        with opened(path) as parts:
            return parts.read(PROBE_FILE) is not None
    if path.suffix in (".h5", ".hdf5"):
        with path.open("rb") as source, opened_hdf5(source) as file:
            return PROBE_FILE in file
    return None


def _size(path: Path) -> int:
    files = [path] if path.is_file() else path.rglob("*")
    return sum(each.stat().st_size for each in files if each.is_file())


@contextmanager
def warnings_given() -> Iterator[list[str]]:
    """A block that collects the warnings given inside."""
    texts: list[str] = []
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        yield texts
    texts += [str(each.message) for each in said]
