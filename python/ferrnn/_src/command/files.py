"""What the command line does with files of models: tells, converts, verifies and times them."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ferrnn._src.command.sources import ONNX, TORCH, Source
from ferrnn._src.files.archive import opened
from ferrnn._src.files.safetensors import is_safetensors
from ferrnn._src.interop.from_torch import described
from ferrnn._src.interop.load_model import load_model
from ferrnn._src.interop.onnx.files import read_model
from ferrnn._src.interop.onnx.model import from_onnx
from ferrnn._src.interop.save_model import save_model
from ferrnn._src.interop.to_onnx import export_model, to_onnx
from ferrnn._src.interop.verifying import Report, in_keras, onnx_session, verify
from ferrnn._src.layers.embedding import Embedding
from ferrnn._src.models.hdf5 import opened as opened_hdf5
from ferrnn._src.models.native_file import stored_probe
from ferrnn._src.models.probes import PROBE_FILE
from ferrnn._src.tree.tree import flatten
from ferrnn._src.tree.types import Array

_ONNX = ".onnx"
_FORMATS = (".keras", ".h5", ".hdf5", ".safetensors", _ONNX)
_STEPS = 32  # where a model leaves the number of steps open


def info(path: Path) -> list[str]:
    """Lines that tell what a file holds: format, size, layers, origin and warnings."""
    kind = Source(path).kind
    lines = [f"{path}: {_size(path):,} bytes, {_origin(path, kind)}"]
    if kind == ONNX:
        model = from_onnx(path)
        lines += [f"input {each.name}: {each.shape}, {each.dtype}" for each in model.inputs]
        return lines + [f"output {each.name}: {each.shape}" for each in model.outputs]
    if kind == TORCH:
        return [
            *lines,
            (
                "weights alone, for `ferrnn.from_torch(path, layers=[...])` or "
                "`ferrnn convert IN OUT --layers ...`:"
            ),
            *described(path),
        ]
    with warnings_given() as said:
        model = load_model(path)
    model.summary(print_fn=lines.append)
    if model.optimizer is not None:
        lines.append(f"compiled with {type(model.optimizer).__name__}, loss {model.loss!r}")
    kept = _has_probe(path)
    if kept is not None:
        lines.append("with a probe, which holds on this machine" if kept else "no probe")
    return [*lines, *(f"warning: {each}" for each in said)]


def convert(source: Source, target: Path, keras: int | None = None) -> None:
    """Writes a model in the format that the end of the target's name asks for.

    `keras` is the version that a `.h5` file is for.

    Raises:
        ValueError: The target's name is of no format, or the source is no chain of layers.
    """
    if target.suffix not in _FORMATS:
        raise ValueError(f"OUT must end in one of {', '.join(_FORMATS)}, received {target}")
    if keras is not None and target.suffix not in (".h5", ".hdf5"):
        raise ValueError(f"`--keras` is for `.h5` files alone, received {keras} for {target}")
    model = source.model()
    if target.suffix == _ONNX:
        export_model(model, target)
    else:
        save_model(model, target, keras=keras)


def verified(source: Source, against: str, inputs: Path | None) -> Report:
    """How far the model of a file is from a second source, on inputs of a file or random ones."""
    model = source.model()
    given = random_inputs(model) if inputs is None else np.load(inputs, allow_pickle=False)
    if against in ("float64", "onnxruntime"):
        return verify(model, given, against)
    if against == "keras":
        return verify(model, given, in_keras(source.path)(given))
    other = Path(against)
    if other.suffix != _ONNX:
        return verify(model, given, Source(other).model())
    run = from_onnx(other)
    return verify(model, given, lambda x: run(*(x if isinstance(x, list) else [x])))


def timed(source: Source, seconds: float) -> list[str]:
    """Lines with the time of one call and of one step of a model, beside ONNX Runtime's."""
    model = source.model(compiles=False)
    lines = [f"{'case':24}  {'ferrnn':>10}  {'ONNX Runtime':>12}"]
    session = _session(model)
    for batch in (1, 32):
        given = random_inputs(model, batch)
        shape = ",".join(map(str, np.shape(flatten(given)[0])))
        own = _duration(lambda given=given: model.predict_on_batch(given), seconds)  # type: ignore[misc]
        theirs = None
        if session is not None:
            named = {
                each.name: np.asarray(x, "float32" if "float" in each.type else x.dtype)
                for each, x in zip(session.get_inputs(), flatten(given), strict=True)
            }
            theirs = _duration(lambda named=named: session.run(None, named), seconds)  # type: ignore[misc]
        lines.append(_row(f"call [{shape}]", own, theirs))
    try:
        stream = model.stream()
    except (TypeError, ValueError) as error:
        return [*lines, f"one step: {error}"]
    step = np.asarray(flatten(random_inputs(model, 1))[0][0, 0])
    own = _duration(lambda: stream(int(step) if step.ndim == 0 else step), seconds)
    return [*lines, _row("one step of a stream", own, None)]


def random_inputs(model: Any, batch: int = 2) -> Any:
    """Inputs that a model takes: ids for an Embedding, else normal numbers; always the same."""
    rng = np.random.default_rng(1)
    made = [_random(model, tensor, batch, rng) for tensor in model.inputs]
    return made[0] if len(made) == 1 else made


def _random(model: Any, tensor: Any, batch: int, rng: np.random.Generator) -> Array:
    first, *rest = tensor.shape
    shape = [first or batch, *(size or _STEPS for size in rest)]
    for step in model._graph.steps:
        if type(step.layer) is Embedding and step.node.inputs is tensor:
            return rng.integers(1, step.layer.input_dim, size=shape)
    return rng.normal(size=shape).astype("float64" if tensor.dtype == "float64" else "float32")


def _session(model: Any) -> Any:
    """The model in ONNX Runtime; None if that is not installed, or the model has no form there."""
    try:
        return onnx_session(to_onnx(model))
    except (ModuleNotFoundError, ValueError):
        return None


def _duration(call: Callable[[], Any], seconds: float) -> float:
    """The median time of a call."""
    call()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 5:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def _row(case: str, own: float, theirs: float | None) -> str:
    other = "-" if theirs is None else _text(theirs)
    return f"{case:24}  {_text(own):>10}  {other:>12}"


def _text(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.3g} us"


def _origin(path: Path, kind: str) -> str:
    """The format of a file, and who wrote it."""
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
    """Whether a file keeps a probe; None of a format that never does."""
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
    """The warnings that are given inside."""
    texts: list[str] = []
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        yield texts
    texts += [str(each.message) for each in said]
