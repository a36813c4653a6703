"""Compares ferrnn's names and arguments with Keras', and writes the tables of docs/keras-api.md.

python tests/python/golden/api_report.py
"""

from __future__ import annotations

import ast
import json
import re
import textwrap
from pathlib import Path

from signatures import Arguments, table_of

GOLDEN = Path(__file__).parent / "keras_api.json"
PAGE = Path(__file__).parents[3] / "docs" / "keras-api.md"
START, END = "<!-- tables: start -->\n", "<!-- tables: end -->\n"

OF_IMAGES = re.compile(
    "2D|3D|Random[A-Z]|RandAugment|AugMix|AutoContrast|CenterCrop|Histogram|CutMix|MixUp|Equalization"
    "|BoundingBox|bounding_box|MelSpectrogram|STFTSpectrogram|Pipeline|Rescaling|Resizing|Solarization"
    "|image|img|audio_dataset"
)

# Arguments that differ, each with the reason; an entry that no longer differs fails the tests.
_STATELESS = "with JAX, Keras takes `state` too; with other backends it takes `data` alone, as here"
_SHAPES = "a nested structure of shapes where there are several inputs"
KNOWN: dict[str, str] = {
    "KerasTensor": "arrays are dense",
    "Variable": "for arrays spread over devices",
    "random.SeedGenerator": "the name that Keras gives it",
    "utils.plot_model": "no Graphviz: SVG, or text",
    "Model().build": "a model with an `Input` needs no shape",
    "Model().compute_mask": "the second argument, called `mask`",
    "Model().compute_metrics": "can be left out",
    "Model().predict_step": _STATELESS,
    "Model().export": "ONNX alone",
    "Model().test_step": _STATELESS,
    "Model().train_step": _STATELESS,
    "layers.Layer().compute_mask": "the second argument, called `mask`",
    "layers.RNN().build": _SHAPES,
    "layers.RNN().compute_mask": "the first argument, called `inputs`",
    "layers.RNN().compute_output_shape": _SHAPES,
    "layers.SimpleRNNCell().call": "the first argument, called `inputs`",
    "layers.Bidirectional().build": _SHAPES,
    "layers.Bidirectional().compute_mask": "the first argument, called `inputs`",
    "layers.Bidirectional().compute_output_shape": _SHAPES,
    "layers.TimeDistributed().build": "can be left out",
    "layers.ConvLSTM1D().compute_mask": "the first argument, called `inputs`",
    "layers.ConvLSTM1D().compute_output_shape": _SHAPES,
    "metrics.Metric().add_variable": "can be left out",
}


def keras_api() -> tuple[str, dict[str, dict[str, Arguments]]]:
    """The version of Keras, and its names with arguments by module and class."""
    table = json.loads(GOLDEN.read_text(encoding="utf-8"))
    return table.pop("version"), table


def difference(keras: Arguments, ours: Arguments) -> str:
    """How arguments differ for a caller that uses what Keras takes; "" if they do not.

    Arguments beyond Keras' may follow. What either takes as `*args` or `**kwargs` is not compared.
    """
    if keras is None or ours is None or _has_star(keras) or _has_star(ours):
        return ""
    open_ended = any(entry.startswith("**") for entry in ours)
    wanted, have = _defaults(keras), _defaults(ours)
    found = [f"no `{name}`" for name in wanted if name not in have and not open_ended]
    for name, default in wanted.items():
        if name in have and not _equal(default, have[name]):
            found.append(f"`{name}` is {have[name] or 'needed'} ({default or 'needed'} in Keras)")
    order = [name for name in _positional(keras) if name in have]
    if _positional(ours)[: len(order)] != order:
        found.append("another order")
    return "; ".join(found)


def _has_star(entries: list[str]) -> bool:
    return any(len(entry) > 1 and entry[0] == "*" and entry[1] != "*" for entry in entries)


def _defaults(entries: list[str]) -> dict[str, str]:
    pairs = (entry.partition("=") for entry in entries if not entry.startswith("*"))
    return {name: default for name, _, default in pairs}


def _positional(entries: list[str]) -> list[str]:
    before = entries[: entries.index("*")] if "*" in entries else entries
    return list(_defaults(before))


def _equal(one: str, other: str) -> bool:
    if one == other:
        return True
    try:
        return bool(ast.literal_eval(one) == ast.literal_eval(other))
    except (ValueError, SyntaxError):
        return False


class Report:
    """What is the same, different and missing, by module and class."""

    def __init__(self) -> None:
        self.version, golden = keras_api()
        ours = table_of("ferrnn", golden)
        self.same: dict[str, list[str]] = {}
        self.different: dict[str, dict[str, str]] = {}
        self.missing: dict[str, list[str]] = {}
        for path, names in golden.items():
            have = ours[path]
            self.missing[path] = [name for name in names if name not in have]
            found = {name: difference(names[name], have[name]) for name in have}
            self.different[path] = {name: text for name, text in found.items() if text}
            self.same[path] = [name for name, text in found.items() if not text]

    def differences(self) -> dict[str, str]:
        """All different names, as in `KNOWN`."""
        return {
            f"{path}.{name}".lstrip("."): text
            for path, names in self.different.items()
            for name, text in names.items()
        }

    def text(self) -> str:
        """The tables in Markdown."""
        counts = ["| | same | different | missing |", "| --- | --- | --- | --- |"]
        sections = []
        for path in self.same:
            title = f"keras.{path}".rstrip(".")
            parts = (self.same[path], self.different[path], self.missing[path])
            counts.append(f"| `{title}` | " + " | ".join(str(len(part)) for part in parts) + " |")
            sections += [f"### {title}\n", *self._section(path)]
        return "\n".join([*counts, "", *sections])

    def _section(self, path: str) -> list[str]:
        missing = self.missing[path]
        images = [name for name in missing if OF_IMAGES.search(name)]
        groups = {
            "Same": self.same[path],
            "Missing": [name for name in missing if name not in images],
            "Missing, for images and sounds": images,
        }
        lines = []
        for word, names in groups.items():
            if names:
                text = f"{word}: {', '.join(f'`{name}`' for name in names)}."
                lines.append(textwrap.fill(text, 104, break_on_hyphens=False) + "\n")
        if self.different[path]:
            lines += ["| different | how | |", "| --- | --- | --- |"]
            for name, text in self.different[path].items():
                reason = KNOWN.get(f"{path}.{name}".lstrip("."), "")
                lines.append(f"| `{name}` | {text} | {reason} |")
            lines.append("")
        return lines


def page_with(text: str) -> str:
    """The page with these tables."""
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(START)
    return before + START + text + "\n" + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(page_with(Report().text()), encoding="utf-8")
