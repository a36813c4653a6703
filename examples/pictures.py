"""What the examples' pictures share: a look, a folder, a message if matplotlib is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

try:
    from matplotlib import rcParams
    from matplotlib.figure import Figure
except ImportError as error:
    raise SystemExit(
        "The picture needs matplotlib, which the extra `plot` brings: pip install 'ferrnn[plot]'"
    ) from error

TRUTH, MODEL, BASELINE, FAINT = "#3b4252", "#d1495b", "#8fa3ad", "#d8dee4"

_LOOK: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": FAINT,
    "axes.grid": True,
    "axes.labelcolor": TRUTH,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "date.converter": "concise",
    "figure.constrained_layout.h_pad": 0.1,
    "figure.constrained_layout.w_pad": 0.1,
    "figure.dpi": 120,
    "font.size": 9,
    "grid.color": "#eceff2",
    "legend.frameon": False,
    "lines.linewidth": 1.3,
    "text.color": TRUTH,
    "xtick.color": TRUTH,
    "ytick.color": TRUTH,
}


def figure(panels: list[str], *, width: float = 10.0, height: float = 6.5) -> tuple[Any, Any]:
    """A figure and its axes by name, laid out as the strings show: `["aa", "bc"]`."""
    rcParams.update(_LOOK)
    made = Figure(figsize=(width, height), layout="constrained")
    return made, made.subplot_mosaic("\n".join(panels))


def draw_loss(
    axes: Any, history: dict[str, list[float]], *, best: int | None = None, scale: str = "linear"
) -> None:
    """The loss per epoch, and where the best weights were found."""
    epochs = range(1, len(history["loss"]) + 1)
    axes.plot(epochs, history["loss"], color=BASELINE, label="training")
    if "val_loss" in history:
        axes.plot(epochs, history["val_loss"], color=MODEL, label="validation")
    if best is not None:
        axes.plot([best + 1], [history["val_loss"][best]], "o", color=MODEL, label="weights kept")
    axes.set(title="Loss per epoch", xlabel="epoch", yscale=scale)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend()


def draw_errors(axes: Any, errors: dict[str, float], unit: str) -> None:
    """Errors as bars, the model's (the first) in its colour, with the numbers beside them."""
    names = list(errors)
    colours = [MODEL, *[BASELINE] * (len(names) - 1)]
    bars = axes.barh(names, list(errors.values()), color=colours, height=0.6)
    axes.bar_label(bars, [f"{value:.2f}" for value in errors.values()], padding=4)
    axes.invert_yaxis()
    axes.margins(x=0.2)
    axes.grid(visible=False, axis="y")
    axes.set(title="Test error (RMSE)", xlabel=unit)


def save(made: Any, directory: str | Path, name: str) -> Path:
    """Writes the picture as PNG and returns its path."""
    path = Path(directory) / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    made.savefig(path)
    return path
