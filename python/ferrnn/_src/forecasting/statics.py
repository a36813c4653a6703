"""Static covariates: numbers, or categories that become one column each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from ferrnn._src.forecasting.frames import Names, Table, as_numbers, table_of
from ferrnn._src.forecasting.settings import Settings
from ferrnn._src.tree.types import Array

# The categories of each column, or None for numbers.
Categories: TypeAlias = Mapping[str, tuple[str, ...] | None]


def statics_of(table: Table, static: Any, settings: Settings, names: Names) -> Table:
    """The table with the static covariates: a separate one, or the data.

    Raises:
        ValueError: There is a table, but there are no static covariates.
    """
    if static is None:
        return table
    if not settings.static_covariates:
        raise ValueError(
            "`static` must be None, as there are no `static_covariates`, received a table"
        )
    found = table_of(static, names, target=False, argument="static")
    if names.id not in found.columns and len(np.unique(table.ids)) > 1:
        raise ValueError(
            f"`static` must have the column {names.id!r}, as there are several series, received "
            f"the columns {sorted(found.columns)}"
        )
    return found


def check_statics(features: Mapping[Any, Array], ids: Array, settings: Settings) -> None:
    """Raises ValueError for series without static covariates, if there are any."""
    missing = [each for each in ids.tolist() if each not in features]
    if settings.static_covariates and missing:
        raise ValueError(
            f"`static` must have a row with {list(settings.static_covariates)} for each series, "
            f"received none for {missing[0]!r} ({len(missing)} of {len(ids)} are missing)"
        )


def static_features(
    table: Table | None, names: Sequence[str], categories: Categories | None = None
) -> tuple[dict[Any, Array], Categories]:
    """Features by id, and the categories; `categories` are those of an earlier call.

    A table may have a row for each series or for each time, but must agree on each series.

    Raises:
        ValueError: A column is missing, or differs within a series.
    """
    if not names:
        return {}, {}
    if table is None:
        raise ValueError(f"`static` must be a table with the columns {list(names)}, received None")
    ids, first, which = np.unique(table.ids, return_index=True, return_inverse=True)
    known: dict[str, tuple[str, ...] | None] = {}
    parts = []
    for name in names:
        if name not in table.columns:
            raise ValueError(
                f"`static_covariates` must name columns of the table, received {name!r}; it has "
                f"{sorted(table.columns)}"
            )
        column = table.columns[name]
        is_text = column.dtype.kind in "OUT"
        values = column.astype(str) if is_text else as_numbers(column, name)
        differs = (values != values[first][which]) & (is_text | (values == values))  # noqa: PLR0124
        if differs.any():
            raise ValueError(
                f"the static column {name!r} must be the same in all rows of a series, received "
                f"several values for {table.ids[differs][0].item()!r}"
            )
        if not is_text:
            known[name] = None
            parts.append(values[first][:, None])
            continue
        words = (categories or {}).get(name) or tuple(np.unique(values).tolist())
        known[name] = words
        parts.append((values[first][:, None] == np.array(words)).astype(float))
    features = np.concatenate(parts, axis=1)
    return dict(zip(ids.tolist(), features, strict=True)), known
