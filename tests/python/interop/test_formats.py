"""`docs/formats.md` says of every layer, operator and module what can be read and written."""

import os
import re
import sys
import warnings
from pathlib import Path

import numpy as np

import ferrnn
from ferrnn import layers as L  # noqa: N812 - there are many
from ferrnn._src.interop.onnx.files import read_model
from ferrnn._src.interop.onnx.plan import KNOWN
from ferrnn._src.interop.torch.layers import _MAKERS

sys.path.append(str(Path(__file__).parents[1] / "models"))

from test_copies import IDS, LAYERS, STEPS

DOCUMENT = Path(__file__).parents[3] / "docs" / "formats.md"
# Layers as they are told here to be, where the copies' have masks or states.
MADE = {
    L.Embedding: (lambda: L.Embedding(7, 3), IDS),
    L.GRU: (lambda: L.GRU(3), STEPS),
    L.LSTM: (lambda: L.LSTM(3, return_sequences=True), STEPS),
    L.PReLU: (lambda: L.PReLU(shared_axes=[1]), STEPS),
    L.RNN: (lambda: L.RNN([L.LSTMCell(3), L.GRUCell(2)]), STEPS),
}
RECURRENT = ("LSTM", "GRU", "RNN", "Scan")


def model_of(kind):
    """A model of one layer, with an open time where the layer has one."""
    make, given = MADE.get(kind) or LAYERS[kind]
    arrays = given if isinstance(given, list | tuple) else [given]
    dtypes = {"i": "int32", "U": "string"}
    inputs = [
        ferrnn.Input(
            (None, *array.shape[2:])
            if array.ndim == 3 and kind is not L.Permute
            else array.shape[1:],
            dtype=dtypes.get(array.dtype.kind, "float32"),
        )
        for array in map(np.asarray, arrays)
    ]
    layer = make()
    if isinstance(given, list):
        return ferrnn.Model(inputs, layer(inputs))
    return ferrnn.Model(inputs if len(inputs) > 1 else inputs[0], layer(*inputs))


def says(function):
    """What a function gives; None if it refuses."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function()
    except (ValueError, TypeError, NotImplementedError):
        return None


def in_onnx(model):
    content = says(lambda: ferrnn.to_onnx(model))
    if content is None:
        return "no"
    operators = {node.operator for node in read_model(content).graph.nodes} - {"Identity"}
    recurrent = [name for name in RECURRENT if name in operators]
    if recurrent:
        return ", ".join(f"`{name}`" for name in recurrent)
    return "yes" if operators else "left out"


def in_stream(kind):
    make, given = MADE.get(kind) or LAYERS[kind]
    if isinstance(given, list | tuple) or given.dtype.kind == "U":
        return "no"
    of_a_step = given.shape[2:] if given.ndim > 2 else given.shape[1:]
    shape = (None,) if given.dtype.kind == "i" else (None, *of_a_step)
    if says(lambda: ferrnn.Sequential([ferrnn.Input(shape), make()]).stream()):
        return "yes"
    frames = ferrnn.Input((None, *given.shape[1:]))
    inner = says(lambda: ferrnn.Sequential([frames, L.TimeDistributed(make())]).stream())
    return "in a `TimeDistributed`" if inner else "no"


def in_torch(kind):
    make, given = MADE.get(kind) or LAYERS[kind]
    if isinstance(given, list | tuple):
        return "no"
    made = says(lambda: ferrnn.to_torch(_chain(make(), given)))
    return "no" if made is None else "yes"


def _chain(layer, given):
    shape = (None, *given.shape[2:]) if given.ndim == 3 else given.shape[1:]
    return ferrnn.Sequential([ferrnn.Input(shape), layer])


def row_of(kind):
    return (
        f"| `{kind.__name__}` | {in_onnx(model_of(kind))} | {in_torch(kind)} | {in_stream(kind)} |"
    )


def wanted():
    """The parts of the document that follow from the code, by their names."""
    rows = [row_of(kind) for kind in sorted(LAYERS, key=lambda kind: kind.__name__)]
    head = "| layer | `export` to ONNX | `to_torch` | stream |"
    return {
        "layers": "\n".join([head, "| --- | --- | --- | --- |", *rows]),
        "operators": _listed(KNOWN),
        "modules": _listed(_MAKERS),
    }


def _listed(names):
    text = ", ".join(f"`{name}`" for name in sorted(names))
    lines, line = [], ""
    for word in text.split(" "):
        if len(line) + len(word) > 108:
            lines.append(line.rstrip())
            line = ""
        line += f"{word} "
    return "\n".join([*lines, line.rstrip()])


PART = r"(<!-- {name}: from the code -->\n).*?(\n<!-- end -->)"


def test_the_document_says_what_the_code_does():
    text = DOCUMENT.read_text(encoding="utf-8")
    made = text
    for name, part in wanted().items():
        pattern = re.compile(PART.format(name=name), re.DOTALL)
        assert pattern.search(made), name
        made = pattern.sub(lambda found, part=part: f"{found[1]}{part}{found[2]}", made)
    if "UPDATE" in os.environ:
        DOCUMENT.write_text(made, encoding="utf-8")
        return
    assert text == made, "write it anew: UPDATE=1 pytest tests/python/interop/test_formats.py"
