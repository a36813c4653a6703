"""Dataframes of pandas, polars, pyarrow and others as arrays, through narwhals."""

from __future__ import annotations

from typing import Any


def _narwhals() -> Any:
    try:
        import narwhals  # type: ignore[import-not-found, unused-ignore]  # noqa: PLC0415
    except ImportError as error:
        raise ImportError(
            "frames are read through narwhals, which the extra `sklearn` installs: pip install "
            "'ferrnn[sklearn]'"
        ) from error
    return narwhals


def is_frame(value: Any) -> bool:
    """Whether `value` is a table with named columns."""
    named = hasattr(value, "columns") or hasattr(value, "column_names")
    return named and hasattr(value, "shape") and not isinstance(value, type)


def array_of(frame: Any) -> Any:
    """The rows of a frame as an array `[rows, columns]`; any other value unchanged."""
    narwhals = _narwhals()
    found = narwhals.from_native(frame, eager_only=True, pass_through=True)
    return found.to_numpy() if isinstance(found, narwhals.DataFrame) else found
