"""Probes: inputs and the outputs of each layer for them, kept in a file to verify each load."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from ferrnn._src.files.errors import within
from ferrnn._src.files.safetensors import contents_of, write
from ferrnn._src.models.probing import Outputs, differences, layer_outputs
from ferrnn._src.tree.tree import flatten
from ferrnn._src.tree.types import Array

OF_PROBE = "probe/"
# Its name in files of other formats, and the key of the text in it.
PROBE_FILE, OF_PROBE_FILE = "probe.safetensors", "probe"
# The allowed error of a layer, in units in the last place of its largest output: vectors of
# another width sum in another order.
ALLOWED = 256.0


def probed(model: Any, inputs: Any) -> tuple[str, dict[str, Array]]:
    """A JSON text and arrays that hold inputs and the outputs of each layer for them.

    Raises:
        ValueError: The inputs are not numbers.
    """
    arrays = [np.asarray(each) for each in flatten(model.prepare_inputs(inputs))]
    for each in arrays:
        if each.dtype.kind not in "fiub":
            raise ValueError(f"`probe` must be numbers, received an array of {each.dtype}")
    outputs = layer_outputs(model, _packed(arrays))
    kept = {f"{OF_PROBE}inputs/{at}": each for at, each in enumerate(arrays)}
    for number, made in enumerate(outputs.values()):
        kept.update({f"{OF_PROBE}{number}/{at}": each for at, each in enumerate(made)})
    return json.dumps({"layers": list(outputs), "ulp": ALLOWED}), kept


def probe_file(model: Any, inputs: Any) -> bytes:
    """The result of `probed` as a safetensors file, to be put into files of other formats."""
    text, arrays = probed(model, inputs)
    file = io.BytesIO()
    write(file, arrays, {OF_PROBE_FILE: text})
    return file.getvalue()


def read_probe_file(content: bytes) -> tuple[list[Array], Outputs, float]:
    """The result of `read_probe` for a `probe_file`."""
    contents = contents_of(memoryview(content))
    text = json.loads(contents.metadata.get(OF_PROBE_FILE, "null"))
    if not isinstance(text, Mapping):
        raise ValueError("it must have the names of layers")  # noqa: TRY004 - the file is at fault
    return read_probe(text, {name: each.array() for name, each in contents.tensors.items()})


def check_file(model: Any, content: bytes | None) -> None:
    """As `check`, for a `probe_file` if there is one."""
    if content is not None:
        with within(PROBE_FILE):
            check(model, *read_probe_file(content))


def read_probe(
    text: Mapping[str, Any], arrays: Mapping[str, Array]
) -> tuple[list[Array], Outputs, float]:
    """The inputs, the outputs by layer, and the allowed error in ulp."""
    layers, allowed = text.get("layers"), text.get("ulp")
    if (
        not isinstance(layers, list)
        or not all(isinstance(each, str) for each in layers)
        or not isinstance(allowed, int | float)
        or not 0 <= allowed < np.inf
    ):
        raise ValueError("it must have the names of layers, and a number of ulp")
    outputs = {name: _row(arrays, str(number)) for number, name in enumerate(layers)}
    return _row(arrays, "inputs"), outputs, float(allowed)


def _row(arrays: Mapping[str, Array], place: str) -> list[Array]:
    found: list[Array] = []
    while f"{OF_PROBE}{place}/{len(found)}" in arrays:
        found.append(np.array(arrays[f"{OF_PROBE}{place}/{len(found)}"]))
    if not found:
        raise ValueError(f"the arrays {OF_PROBE}{place} are missing")
    return found


def check(model: Any, inputs: list[Array], expected: Outputs, allowed: float) -> None:
    """Raises ValueError, naming the first layer, if a model's outputs differ from the probe's."""
    found = layer_outputs(model, _packed(inputs))
    if list(found) != list(expected):
        raise ValueError(
            f"it must have the outputs of the layers {list(found)[:10]}, received those of "
            f"{list(expected)[:10]}"
        )
    for each in differences(found, expected):
        if not each.ulp <= allowed:
            raise ValueError(
                f"layer {each.layer!r} computes other outputs here than where the file was "
                f"written: the largest difference is {each.largest:.3g} for outputs up to "
                f"{each.scale:.3g}, which is {each.ulp:.3g} ulp, while {allowed:g} are allowed"
            )


def _packed(arrays: list[Array]) -> Any:
    return arrays[0] if len(arrays) == 1 else arrays
