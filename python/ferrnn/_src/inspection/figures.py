"""Figures of training runs, of states over time, and of attributions, in matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ferrnn._src.inspection.drawing import figure_of, heat_map
from ferrnn._src.inspection.states import inputs_of, layer_states, recurrent_layer
from ferrnn._src.tree.types import Array

# The range of values and the colours, by the end of a name.
_GATE, _SIGNED = "gate", "signed"


def plot_history(
    history: Any, metrics: str | Sequence[str] | None = None, *, log: bool = False
) -> Any:
    """A figure of a training run: loss and metrics by epoch, one panel each.

    A notebook shows it; `savefig("training.png")` writes it to a file.

    Args:
        history: What `fit` returned, or a dict of lists such as its `history`.
        metrics: The names to show, without the prefix `val_`; None for all.
        log: Whether the loss has a logarithmic scale.

    Raises:
        ValueError: The history has no such name.
        ImportError: matplotlib is missing.
    """
    kept = history if isinstance(history, Mapping) else history.history
    epochs = None if isinstance(history, Mapping) else [each + 1 for each in history.epoch]
    names = [name for name in kept if not name.startswith("val_") or name[4:] not in kept]
    wanted = names if metrics is None else [metrics] if isinstance(metrics, str) else list(metrics)
    if not kept:
        raise ValueError("`history` must have at least one epoch, received none")
    unknown = [name for name in wanted if name not in kept]
    if unknown or not wanted:
        raise ValueError(f"`metrics` must be some of {names}, received {metrics!r}")
    wanted.sort(key=lambda name: name != "loss")
    figure, axes = figure_of(len(wanted), width=4.5 * min(len(wanted), 3), columns=3)
    for name, panel in zip(wanted, axes, strict=True):
        for key, label in ((name, "training"), (f"val_{name}", "validation")):
            if key in kept:
                numbers = range(1, len(kept[key]) + 1)
                fits = epochs is not None and len(epochs) == len(kept[key])
                panel.plot(epochs if fits else numbers, kept[key], label=label)
        panel.set(title=name, xlabel="epoch", yscale="log" if log and name == "loss" else "linear")
        panel.xaxis.get_major_locator().set_params(integer=True)
        panel.legend(frameon=False)
    return figure


def plot_states(
    model: Any,
    x: Any,
    layer: Any = None,
    sample: int = 0,
    names: Sequence[str] | None = None,
) -> Any:
    """A figure of a recurrent layer at work: its inputs, states and gates over time.

    Each is a heat map with a row for each unit; see `layer_states` for their names.

    Args:
        model: A Sequential or functional model.
        x: Its inputs, `[batch, ...]`.
        layer: The layer or its name; None for the last recurrent one.
        sample: The number of the sequence in `x` to show.
        names: Which states and gates to show; None for all.

    Raises:
        ValueError: There is no such layer, sample, state or gate.
        ImportError: matplotlib is missing.
    """
    found = layer_states(model, x, layer)
    inputs, mask = inputs_of(model, x, recurrent_layer(model, layer))
    if not -len(inputs) <= sample < len(inputs):
        raise ValueError(f"`sample` must be one of {len(inputs)} in `x`, received {sample!r}")
    wanted = [*found] if names is None else list(names)
    unknown = [name for name in wanted if name not in found]
    if unknown:
        raise ValueError(f"`names` must be some of {[*found]}, received {unknown}")
    shown = {"inputs": inputs} | {name: found[name] for name in wanted}
    figure, axes = figure_of(len(shown), width=9.0, height=1.6, columns=1)
    for (name, values), panel in zip(shown.items(), axes, strict=True):
        array = np.array(values[sample], np.float64)
        if mask is not None:
            array[~mask[sample]] = np.nan
        low, high, colours = _range(name, array)
        heat_map(figure, panel, array.T, low=low, high=high, colours=colours)
        panel.set(title=name, ylabel="feature" if name == "inputs" else "unit")
    axes[-1].set_xlabel("step")
    return figure


def plot_attributions(
    attributions: Array, names: Sequence[str] | None = None, sample: int = 0
) -> Any:
    """A figure of what each feature adds to an output at each step: red for more, blue for less.

    Args:
        attributions: Those of `integrated_gradients` (or of SHAP), `[samples, time, features]` or
            `[samples, time]`.
        names: Names of the features.
        sample: The number of the sample to show.

    Raises:
        ValueError: There is no such sample, or not a name for each feature.
        ImportError: matplotlib is missing.
    """
    array = np.asarray(attributions, np.float64)
    if array.ndim not in (2, 3) or not -len(array) <= sample < len(array):
        raise ValueError(
            "`attributions` must be an array [samples, time, features] or [samples, time] that has "
            f"the sample {sample!r}, received the shape {array.shape}"
        )
    values = array[sample].reshape(array.shape[1], -1).T
    if names is not None and len(names) != len(values):
        raise ValueError(
            f"`names` must have one name for each of {len(values)} features, received {list(names)}"
        )
    figure, (panel,) = figure_of(1, width=9.0, height=1.2 + 0.3 * len(values), columns=1)
    low, high, colours = _range(_SIGNED, values)
    heat_map(figure, panel, values, low=low, high=high, colours=colours)
    panel.set(title="attributions", xlabel="step", ylabel="" if names else "feature")
    if names is not None:
        panel.set_yticks(range(len(names)), names)
    return figure


def _range(name: str, values: Array) -> tuple[float, float, str]:
    """The ends of a scale and its colours: from 0 to 1 for gates, symmetric for others."""
    if name.endswith(_GATE):
        return 0.0, 1.0, "viridis"
    finite = np.abs(values[np.isfinite(values)])
    most = float(finite.max(initial=0.0)) or 1.0
    return -most, most, "RdBu_r"
