"""Batches of texts from files, with a folder for each class."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ferrnn._src.data.dataset import Dataset
from ferrnn._src.data.labels import to_categorical
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.random import SeedGenerator

_MODES = ("int", "categorical", "binary", None)


class TextFiles(Dataset):
    """Batches of texts, an array of strings, with their labels if there are any.

    `class_names` are the names of the classes and `file_paths` the files, in order.
    """

    def __init__(
        self,
        files: Sequence[Path],
        labels: Array | None,
        class_names: list[str] | None,
        *,
        batch_size: int | None,
        max_length: int | None,
        shuffles: SeedGenerator | None,
    ) -> None:
        self.class_names = class_names
        self.file_paths = [str(file) for file in files]
        self.batch_size, self.max_length = batch_size, max_length
        self._files, self._labels, self._shuffles = files, labels, shuffles

    def __len__(self) -> int:
        return math.ceil(len(self._files) / (self.batch_size or 1))

    def __iter__(self) -> Iterator[Any]:
        order = np.arange(len(self._files))
        if self._shuffles is not None:
            order = self._shuffles.generator().permutation(len(self._files))
        size = self.batch_size or 1
        for start in range(0, len(order), size):
            own = order[start : start + size]
            texts = np.array([self._text(self._files[number]) for number in own], object)
            labels = None if self._labels is None else self._labels[own]
            if self.batch_size is None:
                texts, labels = texts[0], None if labels is None else labels[0]
            yield texts if labels is None else (texts, labels)

    def _text(self, file: Path) -> str:
        text = file.read_text(encoding="utf-8", errors="replace")
        return text if self.max_length is None else text[: self.max_length]


def text_dataset_from_directory(
    directory: str | os.PathLike[str],
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    batch_size: int | None = 32,
    max_length: int | None = None,
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    follow_links: bool = False,
    format: str = "tf",  # noqa: A002 - Keras' name
    verbose: bool = True,
) -> Any:
    """Batches of the texts below a directory: its `.txt` files, those of a class in one folder.

    `labels` are "inferred" from the folders, None, or a list with one for each file, in the order
    of their paths. `label_mode` "int" gives class numbers, "categorical" one-hot rows, "binary"
    0 and 1 as floats; without labels or a mode, the batches are all texts below the directory. With
    `validation_split` the last part of the files (of a shuffled order, if `shuffle`, for which a
    `seed` must be given) is the "validation" `subset`, the rest "training"; "both" gives both.
    """
    _check(labels, label_mode, batch_size, format)
    if class_names and not (isinstance(labels, str) and labels == "inferred"):
        raise ValueError(
            'You can only pass `class_names` if `labels="inferred"`. Received: '
            f"labels={labels}, class_names={class_names}"
        )
    if label_mode is None:
        labels = None
    files, names, numbers = _found(Path(directory), labels, class_names, follow_links)
    if label_mode == "binary" and len(names or []) != 2:
        raise ValueError(
            'When passing `label_mode="binary"`, there must be exactly 2 class_names. Received: '
            f"class_names={names}"
        )
    values = None if label_mode is None or labels is None else _labels(numbers, label_mode, names)
    if verbose:
        classes = f" belonging to {len(names)} classes" if names else ""
        sys.stdout.write(f"Found {len(files)} files{classes}.\n")
    seeds = SeedGenerator(seed) if shuffle else None
    parts = _parts(len(files), validation_split, subset, shuffle, seed)
    made = [
        TextFiles(
            [files[number] for number in own],
            None if values is None else values[own],
            names,
            batch_size=batch_size,
            max_length=max_length,
            shuffles=seeds if at == 0 else None,
        )
        for at, own in enumerate(parts)
    ]
    return tuple(made) if subset == "both" else made[0]


def _check(labels: Any, label_mode: str | None, batch_size: int | None, form: str) -> None:
    if label_mode not in _MODES:
        raise ValueError(
            '`label_mode` argument must be one of "int", "categorical", "binary", or None. '
            f"Received: label_mode={label_mode}"
        )
    listed = isinstance(labels, list | tuple | np.ndarray)
    if not (listed or labels is None or labels == "inferred"):
        raise ValueError(
            "`labels` argument should be a list/tuple of integer labels, of the same size as the "
            "number of text files in the target directory. If you wish to infer the labels from "
            'the subdirectory names in the target directory, pass `labels="inferred"`. If you wish '
            f"to get a dataset that only contains text samples (no labels), pass `labels=None`. "
            f"Received: labels={labels!r}"
        )
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"`batch_size` must be a positive integer or None, received {batch_size}")
    if form not in ("tf", "grain"):
        raise ValueError(f'`format` should be either "tf" or "grain". Received: format={form}')


def _found(
    directory: Path, labels: Any, class_names: Sequence[str] | None, follow_links: bool
) -> tuple[list[Path], list[str] | None, Array]:
    """The files, the names of the classes, and the class number of each file."""
    if not directory.is_dir():
        raise FileNotFoundError(f"`directory` must be a folder of texts, received {directory}")
    if labels != "inferred" if isinstance(labels, str) else True:
        files = _texts(directory, follow_links)
        if labels is None:
            return files, None, np.zeros(len(files), np.int32)
        if len(labels) != len(files):
            raise ValueError(
                "Expected the lengths of `labels` to match the number of files in the target "
                f"directory. len(labels) is {len(labels)} while we found {len(files)} files in "
                f"directory {directory}."
            )
        return files, [str(name) for name in sorted(set(labels))], np.asarray(labels)
    folders = sorted(each.name for each in directory.iterdir() if each.is_dir())
    names = folders if class_names is None else list(class_names)
    if set(names) != set(folders):
        raise ValueError(
            "The `class_names` passed did not match the names of the subdirectories of the target "
            f"directory. Expected: {folders}, but received: {names}"
        )
    of_class = [_texts(directory / name, follow_links) for name in names]
    numbers = np.repeat(np.arange(len(names)), [len(files) for files in of_class])
    return [file for files in of_class for file in files], names, numbers.astype(np.int32)


def _texts(folder: Path, follow_links: bool) -> list[Path]:
    found = [
        Path(at) / name
        for at, _, names in os.walk(folder, followlinks=follow_links)
        for name in names
        if name.lower().endswith(".txt")
    ]
    if not found:
        raise ValueError(f"No text files found in directory {folder}. Allowed format: .txt")
    return sorted(found)


def _labels(numbers: Array, mode: str, names: list[str] | None) -> Array:
    if mode == "categorical":
        return to_categorical(numbers, len(names or ()))
    return numbers.astype(np.float32).reshape(-1, 1) if mode == "binary" else numbers


def _parts(
    count: int, split: float | None, subset: str | None, shuffle: bool, seed: int | None
) -> list[Array]:
    """The indices of the files of each part."""
    order = np.arange(count)
    if not split:
        if subset is not None:
            raise ValueError("If `subset` is set, `validation_split` must be set.")
        return [order]
    if not 0 < split < 1:
        raise ValueError(f"`validation_split` must be between 0 and 1, received: {split}")
    if subset not in ("training", "validation", "both"):
        raise ValueError(
            f'`subset` must be either "training", "validation" or "both", received: {subset}'
        )
    if shuffle:
        if seed is None:
            raise ValueError(
                "If using `validation_split` and shuffling the data, you must provide a `seed` "
                "argument, to make sure that there is no overlap between the training and "
                "validation subset."
            )
        order = SeedGenerator(seed).generator().permutation(count)
    kept = count - int(split * count)
    parts = {"training": order[:kept], "validation": order[kept:]}
    return [*parts.values()] if subset == "both" else [parts[subset]]
