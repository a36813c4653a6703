"""Streams of whole models: the layers that can run step by step, and their order."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator
from typing import Any

from ferrnn._src.faces import public
from ferrnn._src.layer.layer import Layer
from ferrnn._src.layers.attention import AdditiveAttention, Attention
from ferrnn._src.layers.bidirectional import Bidirectional
from ferrnn._src.layers.built_in import runs_one_cell
from ferrnn._src.layers.embedding import Embedding
from ferrnn._src.layers.masking import Masking
from ferrnn._src.layers.multi_head_attention import MultiHeadAttention
from ferrnn._src.layers.time_distributed import TimeDistributed
from ferrnn._src.models.frame_stages import OVER_PLACES, OVER_TIME
from ferrnn._src.models.graph import Graph
from ferrnn._src.models.stages import FIRST, PLAIN, Place, Stage
from ferrnn._src.sequence.stream import FrameStream, Stream, StreamPart


def _recurrent(place: Place) -> list[StreamPart]:
    parts: list[StreamPart] = place.layer.stream_parts(place.name)
    return parts


_TIMED = {**PLAIN, **OVER_TIME, **FIRST}
_UNTIMED = {**PLAIN, **OVER_PLACES}


def _stage_of(kind: type[Layer], timed: bool) -> Stage | None:
    """The stage of a class of layers; not of its subclasses, which may override anything."""
    if timed and runs_one_cell(kind):
        return _recurrent
    return (_TIMED if timed else _UNTIMED).get(kind)


_BESIDES = (
    "; `from_onnx(to_onnx(model, states=True)).stream()` runs models with branches step by step, "
    "operator by operator"
)
_BACKWARDS = "it also reads the sequence from its end"
_WHOLE = "each of its outputs depends on the whole sequence"
# Reasons for layers that one might expect in a stream.
_REASONS: dict[type[Layer], str] = {
    Bidirectional: _BACKWARDS,
    Attention: _WHOLE,
    AdditiveAttention: _WHOLE,
    MultiHeadAttention: _WHOLE,
    Masking: "a stream can only skip steps with the id 0 of an Embedding with mask_zero",
}


def make_stream(model: Any, plain: Collection[type], streams: int) -> Stream:
    """A stream of a model's layers; models of the `plain` classes consist of their graph."""
    graph: Graph | None = model._graph
    if graph is None:
        raise ValueError(
            f"the model {model.name!r} must be built before it can run in a stream: give it an "
            "`Input`, or call it once(a subclassed model without a graph cannot run in a stream)"
        )
    parts: list[StreamPart] = []
    dtype, masked, warmup, ends = "", False, 0, [_ends(model.name, graph)]
    for place in _places(model.name, graph, plain):
        layer = place.layer
        if not dtype:
            dtype = layer.dtype
            _check_inputs(model.name, graph, layer)
            masked = type(layer) is Embedding and layer.mask_zero
        elif type(layer) is Embedding:
            place.refuse(
                "an Embedding takes the ids that are the model's inputs, so it must be the first "
                "layer"
            )
        found = _parts_of(place, dtype)
        if masked and not layer.supports_masking and not _windowed(found):
            # This layer does not skip masked steps: a window of one step passes them on.
            found = [StreamPart(("window", place.shape[0], 1, 1, True)), *found]
        masked = masked and layer.supports_masking
        if masked and getattr(layer, "zero_output_for_mask", False):
            raise ValueError(
                f"layer {place.name!r} of the model {model.name!r} cannot run in a stream with "
                "zero_output_for_mask=True after an Embedding with mask_zero=True: for a step with "
                "the id 0, a stream repeats the outputs of the step before"
            )
        parts += found
        warmup += _warmup(found)
        ends.append(place.given)
    taken, given = ends[0], ends[-1]
    dtype = dtype or "float32"
    if len(taken) == 1 and len(given) == 1:
        return Stream.over(parts, taken[0], streams, dtype, warmup)
    return FrameStream.of_frames(parts, (taken, given), streams, dtype, warmup)


def _windowed(parts: list[StreamPart]) -> bool:
    return bool(parts) and isinstance(parts[0].layer, tuple) and parts[0].layer[0] == "window"


def _warmup(parts: list[StreamPart]) -> int:
    """The number of steps before the windows without padding are full."""
    waiting = 0
    for part in parts:
        if isinstance(part.layer, tuple) and part.layer[0] == "window":
            _, _, taps, dilation, causal = part.layer
            waiting += 0 if causal else (taps - 1) * dilation
    return waiting


def _ends(model: str, graph: Graph) -> tuple[int, ...]:
    """The shape of a step of the model's inputs."""
    if len(graph.inputs) != 1:
        raise ValueError(
            f"the model {model!r} cannot run in a stream: it must have one input, but has "
            f"{len(graph.inputs)}"
        )
    shape = tuple(graph.inputs[0].shape)
    if graph.steps and type(graph.steps[0].layer) is Embedding:
        if len(shape) != 2:
            raise ValueError(
                f"a stream of the model {model!r} takes one id at a time: the model's input shape "
                f"must be [batch, time], received {shape}"
            )
        return (1,)
    step = shape[2:] if len(shape) > 2 else shape[1:]
    if not step or not all(isinstance(length, int) and length for length in step):
        raise ValueError(
            f"a stream of the model {model!r} takes one step [features] at a time: the model's "
            "input shape must be [batch, time, features] (or frames for features) or [batch, "
            f"features], with known lengths except batch and time, received {shape}"
        )
    return tuple(int(length or 0) for length in step)


def _check_inputs(model: str, graph: Graph, first: Layer) -> None:
    inputs = graph.inputs[0]
    if type(first) is not Embedding and inputs.dtype != first.dtype:
        raise TypeError(
            f"the model {model!r} cannot run in a stream: its Input has the dtype {inputs.dtype}, "
            f"but its first layer {first.dtype}"
        )


def _places(
    model: str, graph: Graph, plain: Collection[type], prefix: str = "", timed: bool | None = None
) -> Generator[Place, None, bool]:
    """The layers of a graph without forks in order, including those of nested models.

    `timed` tells whether time is an axis of the graph's inputs; with None, it is if there are
    enough axes. Returns whether it is an axis of the outputs.
    """
    reached = graph.inputs[0]
    for step in graph.steps:
        node, layer = step.node, step.layer
        path = f"{prefix}{layer.name}"
        if node.inputs is not reached or node.mask is not None or node.training:
            raise ValueError(
                f"layer {path!r} of the model {model!r} cannot run in a stream: it takes something "
                "besides the outputs of the layer before (other arrays, initial states, a mask, or "
                "training=True), while the layers of a stream form a chain" + _BESIDES
            )
        if timed is None:
            timed = len(reached.shape) > 2 or type(layer) is Embedding
        if isinstance(node.outputs, list | tuple | dict):
            raise ValueError(  # noqa: TRY004 - a matter of settings
                f"layer {path!r} of the model {model!r} cannot run in a stream: it has several "
                "outputs, as with return_state=True, but a stream returns one array per step"
            )
        if type(layer) in plain:
            timed = yield from _places(model, layer._graph, plain, f"{path}/", timed)
        else:
            shapes = (tuple(reached.shape), tuple(node.outputs.shape))
            yield from _unwrapped(Place(model, path, layer, *shapes, timed), plain)
            timed = timed and getattr(layer, "return_sequences", True)
        reached = node.outputs
    if len(graph.outputs) != 1 or graph.outputs[0] is not reached:
        raise ValueError(
            f"the model {model!r} cannot run in a stream: a stream returns the outputs of the last "
            f"layer, but the model returns {[tensor.name for tensor in graph.outputs]}" + _BESIDES
        )
    return bool(timed)


def _unwrapped(place: Place, plain: Collection[type]) -> Iterator[Place]:
    """The layer, or the one inside a TimeDistributed, with the shapes of one step."""
    layer: Any = place.layer
    before = 1 + place.timed
    if place.timed and type(layer) is TimeDistributed:
        inner: Any = layer.layer
        path = f"{place.name}/{layer.layer.name}"
        if type(inner) in plain and inner._graph is not None:
            yield from _places(place.model, inner._graph, plain, f"{path}/", timed=False)
            return
        place = place._replace(name=path, layer=inner, timed=False)
    if type(place.layer) is public("layers", "SpectralNormalization"):
        place = place._replace(layer=place.layer.layer)
    sequences = getattr(layer, "return_sequences", True)
    after = before if sequences else 1
    if type(layer) is Embedding:
        yield place._replace(shape=(1,), given=place.given[before:])
    else:
        yield place._replace(shape=place.shape[before:], given=place.given[after:])


def _parts_of(place: Place, dtype: str) -> list[StreamPart]:
    stage = _stage_of(type(place.layer), place.timed)
    if stage is None:
        place.refuse(_REASONS.get(type(place.layer)) or _reason(place))
    if place.layer.dtype != dtype:
        place.refuse(f"its dtype is {place.layer.dtype}, but that of the first layer is {dtype}")
    if None in (*place.shape, *place.given):
        place.refuse(f"the lengths of a step must be known, received the shape {place.shape}")
    return stage(place)


def _reason(place: Place) -> str:
    kind = type(place.layer)
    if place.timed and kind in OVER_PLACES:
        return (
            f"it is a {kind.__name__}, which sees all steps at once; in a TimeDistributed it would "
            "see one step"
        )
    if not place.timed and (kind in OVER_TIME or runs_one_cell(kind)):
        return f"it is a {kind.__name__} inside a step, while streams run over time"
    return f"it is a {kind.__name__}, which the engine cannot run step by step"
