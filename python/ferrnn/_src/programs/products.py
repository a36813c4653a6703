"""Products, reductions over axes, and what is made of them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from ferrnn._src.configs import config
from ferrnn._src.programs.adjoints import Adjoints
from ferrnn._src.programs.instructions import Outer
from ferrnn._src.programs.recorder import SUMS, UnsupportedError, View
from ferrnn._src.programs.rules import ask, note, rule, view_of
from ferrnn._src.programs.shaping import inner_axis, packed
from ferrnn._src.programs.sketch import BatchMean, CellTrace, Sketch


@rule("matmul")
def _matmul(trace: CellTrace, x1: Any, x2: Any) -> Any:
    left = x1 if isinstance(x1, Sketch) else trace.sketch(view_of(trace, x1))
    right = x2 if isinstance(x2, Sketch) else trace.sketch(view_of(trace, x2))
    if not left.has_rows or left.ndim < 2:
        raise UnsupportedError("a product with a matrix on the left")
    if right.has_rows:
        return _of_rows(trace, left, right)
    if right.ndim == 1:
        column = ask(trace, "expand_dims", right, -1)
        return ask(trace, "squeeze", _matmul(trace, left, column), -1)
    if right.ndim != 2 or left.shape[-1] != right.shape[0]:
        raise UnsupportedError("a product of matrices that do not fit")
    return with_matrix(trace, left, right)


rule("dot")(_matmul)


def with_matrix(trace: CellTrace, left: Sketch, right: Sketch) -> Sketch:
    """Rows times a weight."""
    recorder = trace.recorder
    left, right = packed(trace, left), packed(trace, right)
    if not recorder.whole(right.view):
        raise UnsupportedError("a product with a part of a matrix")
    view, matrix = left.view, right.view
    depth, columns = matrix.shape
    column = replace(matrix, shape=(depth,), strides=(1,)) if columns == 1 else None
    if column is None:
        out = recorder.multiplied(view, matrix.register, columns)
    else:  # a tile would compute as many columns as a vector has lanes
        out = recorder.reduced("sum", recorder.map("multiply", view, column), [len(view.shape) - 1])
    recorder.wanted[out.register] = recorder.wants(view, matrix)
    rows = math.prod(view.shape[:-1])

    def back(adjoints: Adjoints, g: View) -> None:
        if recorder.wants(matrix):
            total, given = adjoints.summed(matrix.register), (view.register, view.offset)
            recorder.put(SUMS, Outer(total, given, g.register, (rows, depth, columns)))
        if recorder.wants(view):
            section = adjoints.section
            d_left = recorder.multiplied(
                g, matrix.register, depth, transposed=True, section=section
            )
            adjoints.add(view, "copy", d_left)

    note(trace, out, back)
    return trace.sketch(out)


def _of_rows(trace: CellTrace, left: Sketch, right: Sketch) -> Sketch:
    """Matrices of each row times others of each row."""
    if left.ndim != 3 or right.ndim != 3 or left.shape[-1] != right.shape[1]:
        raise UnsupportedError("a product of matrices of each row that do not fit")
    a, b = left.view, right.view
    n, depth, m = a.shape[0], a.shape[1], b.shape[1]
    spread = replace(a, shape=(n, depth, 1), strides=(*a.strides, 0))
    across = replace(b, shape=(1, depth, m), strides=(0, *b.strides))
    product = ask(trace, "multiply", trace.sketch(spread), trace.sketch(across))
    made: Sketch = ask(trace, "sum", product, axis=2)
    return made


@rule("einsum")
def _einsum(trace: CellTrace, subscripts: str, *arrays: Any, **options: Any) -> Any:
    given, _, wanted = subscripts.replace(" ", "").partition("->")
    labels = given.split(",")
    sketches = [x if isinstance(x, Sketch) else trace.sketch(view_of(trace, x)) for x in arrays]
    if len(labels) != 2 or len(arrays) != 2 or "." in subscripts or not wanted:
        raise UnsupportedError(f"`einsum` with {subscripts!r}")
    rows = {each[0] for each, x in zip(labels, sketches, strict=True) if x.has_rows}
    if len(rows) != 1 or wanted[0] not in rows or any(len(set(x)) < len(x) for x in labels):
        raise UnsupportedError(f"`einsum` with {subscripts!r}")
    (a, b), (x, y) = labels, sketches
    if not y.has_rows and b[0] == a[-1] and len(b) == 2 and wanted == a[:-1] + b[1]:
        return _matmul(trace, x, y)
    batch = wanted[0]
    order = list(wanted[1:])
    order += [each for each in dict.fromkeys(a + b) if each not in wanted and each != batch]
    spread = [
        _by_labels(trace, x, each, batch, order) for each, x in zip(labels, sketches, strict=True)
    ]
    product = ask(trace, "multiply", *spread)
    for _ in order[len(wanted) - 1 :]:
        product = ask(trace, "sum", product, axis=-1)
    return product


def _by_labels(trace: CellTrace, x: Sketch, labels: str, batch: str, order: list[str]) -> Sketch:
    """An operand with its axes in that order, of length one where it has none."""
    own = labels[1:] if x.has_rows else labels
    if batch in own:
        raise UnsupportedError("a product over the batch")
    places = {label: at for at, label in enumerate(own)}
    view = x.view
    shape = tuple(view.shape[places[each]] if each in places else 1 for each in order)
    strides = tuple(view.strides[places[each]] if each in places else 0 for each in order)
    made = replace(view, shape=shape, strides=strides)
    return trace.sketch(made) if x.has_rows else packed(trace, trace.sketch(made))


# Over axes.


def _axes(x: Sketch, axis: Any) -> list[int]:
    """The axes of one row, each as far as it is named."""
    if axis is None:
        if x.has_rows:
            raise UnsupportedError("an operation over the batch")
        return list(range(len(x.view.shape)))
    given = axis if isinstance(axis, tuple | list | range) else [axis]
    return sorted(inner_axis(x, each) for each in given)


def _joined(trace: CellTrace, join: str, x: Sketch, axes: list[int]) -> View:
    """The sum or an extreme over axes, which stay with length one."""
    view, left = x.view, list(axes)
    if not left:
        return view
    while left:
        run = [left.pop()]
        while left and left[-1] == run[-1] - 1:
            run.append(left.pop())
        view = trace.recorder.reduced(join, view, run)
    return view


def _without(trace: CellTrace, view: View, axes: list[int], keepdims: bool) -> Sketch:
    if keepdims:
        return trace.sketch(view)
    kept = [at for at in range(len(view.shape)) if at not in axes]
    shape, strides = (tuple(of[at] for at in kept) for of in (view.shape, view.strides))
    return trace.sketch(replace(view, shape=shape, strides=strides))


def _sum_kept(trace: CellTrace, x: Sketch, axes: list[int]) -> View:
    total: View = trace.once(("sum", x.view, *axes), lambda: _new_sum(trace, x, axes))
    return total


def _new_sum(trace: CellTrace, x: Sketch, axes: list[int]) -> View:
    view = _joined(trace, "sum", x, axes)
    source = x.view
    if axes:
        note(
            trace, view, lambda adjoints, g: adjoints.add(source, "copy", g.broadcast(source.shape))
        )
    return view


@rule("sum")
def _sum(trace: CellTrace, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    axes = _axes(x, axis)
    return _without(trace, _sum_kept(trace, x, axes), axes, keepdims)


@rule("mean")
def _mean(trace: CellTrace, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    if axis is None and x.has_rows and trace.takes_means and not keepdims:
        return BatchMean(_mean(trace, x, range(1, x.ndim)) if x.ndim > 1 else x)
    axes = _axes(x, axis)
    count = math.prod(x.view.shape[at] for at in axes)
    total = _without(trace, _sum_kept(trace, x, axes), axes, keepdims)
    return ask(trace, "multiply", total, 1.0 / count)


@rule("var")
def _var(trace: CellTrace, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    axes = _axes(x, axis)
    places = [at + x.has_rows for at in axes]
    centred = ask(trace, "subtract", x, _mean(trace, x, places, True))
    return _mean(trace, ask(trace, "square", centred), places, keepdims)


@rule("std")
def _std(trace: CellTrace, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return ask(trace, "sqrt", _var(trace, x, axis, keepdims))


@rule("moments")
def _moments(
    trace: CellTrace, x: Any, axes: Any, keepdims: bool = False, synchronized: bool = False
) -> Any:
    return _mean(trace, x, axes, keepdims), _var(trace, x, axes, keepdims)


def _extreme(name: str) -> None:
    @rule(name)
    def extreme(
        trace: CellTrace, x: Any, axis: Any = None, keepdims: bool = False, initial: Any = None
    ) -> Any:
        if initial is not None:
            raise UnsupportedError(f"`{name}` with `initial`")
        axes = _axes(x, axis)
        view = _joined(trace, f"{name}imum", x, axes)
        source = x.view

        def back(adjoints: Adjoints, g: View) -> None:
            hits = adjoints.temporary("equal", source, view)
            total = hits
            for at in reversed(axes):
                total = adjoints.total(total, [at])
            share = adjoints.temporary("divide", g, total)
            adjoints.add(source, "multiply", hits, share.broadcast(source.shape))

        if axes:
            note(trace, view, back)
        return _without(trace, view, axes, keepdims)


_extreme("max")
_extreme("min")


@rule("softmax")
def _softmax(trace: CellTrace, x: Any, axis: Any = -1) -> Any:
    recorder, axes = trace.recorder, _axes(x, axis)
    source = x.view
    raised = recorder.map("subtract", source, _joined(trace, "maximum", x, axes))
    raised = recorder.map("exponential", raised)
    y = recorder.map("divide", raised, _joined(trace, "sum", trace.sketch(raised), axes))

    def back(adjoints: Adjoints, g: View) -> None:
        product = adjoints.temporary("multiply", g, y)
        total = product
        for at in reversed(axes):
            total = adjoints.total(total, [at])
        shifted = adjoints.temporary("subtract", g, total)
        adjoints.add(source, "multiply", y, shifted)

    note(trace, y, back)
    return trace.sketch(y)


@rule("logsumexp")
def _logsumexp(trace: CellTrace, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    axes = [at + x.has_rows for at in _axes(x, axis)]
    largest = ask(trace, "stop_gradient", ask(trace, "max", x, axes, True))
    total = ask(trace, "sum", ask(trace, "exp", ask(trace, "subtract", x, largest)), axes, True)
    found = ask(trace, "add", ask(trace, "log", total), largest)
    return found if keepdims else ask(trace, "squeeze", found, axes)


@rule("log_softmax")
def _log_softmax(trace: CellTrace, x: Any, axis: Any = -1) -> Any:
    return ask(trace, "subtract", x, _logsumexp(trace, x, axis, True))


def normalized(trace: CellTrace, x: Sketch, axes: list[int], epsilon: float) -> Sketch:
    """`x` with mean 0 and variance 1 over axes."""
    recorder, source = trace.recorder, x.view
    count = recorder.number(1.0 / math.prod(source.shape[at] for at in axes))
    mean = recorder.map("multiply", _joined(trace, "sum", x, axes), count)
    centred = recorder.map("subtract", source, mean)
    squares = trace.sketch(recorder.map("multiply", centred, centred))
    spread = recorder.map("multiply", _joined(trace, "sum", squares, axes), count)
    root = recorder.map("rsqrt", recorder.map("add", spread, recorder.number(epsilon)))
    y = recorder.map("multiply", centred, root)

    def back(adjoints: Adjoints, g: View) -> None:
        def mean_of(view: View) -> View:
            for at in reversed(axes):
                view = adjoints.total(view, [at])
            return adjoints.temporary("multiply", view, count)

        along = mean_of(adjoints.temporary("multiply", g, y))
        shifted = adjoints.temporary("subtract", g, mean_of(g))
        rest = adjoints.temporary("subtract", shifted, adjoints.temporary("multiply", y, along))
        adjoints.add(source, "multiply", rest, root)

    note(trace, y, back)
    return trace.sketch(y)


@rule("layer_normalization")
def _layer_normalization(
    trace: CellTrace,
    x: Any,
    gamma: Any = None,
    beta: Any = None,
    axis: Any = -1,
    epsilon: float | None = None,
) -> Any:
    made = normalized(trace, x, _axes(x, axis), config.epsilon() if epsilon is None else epsilon)
    if gamma is not None:
        made = ask(trace, "multiply", made, gamma)
    return made if beta is None else ask(trace, "add", made, beta)


@rule("rms_normalization")
def _rms_normalization(
    trace: CellTrace, x: Any, scale: Any = None, axis: Any = -1, epsilon: float | None = None
) -> Any:
    mean = _mean(trace, ask(trace, "square", x), axis, True)
    epsilon = config.epsilon() if epsilon is None else epsilon
    made = ask(trace, "multiply", x, ask(trace, "rsqrt", ask(trace, "add", mean, epsilon)))
    return made if scale is None else ask(trace, "multiply", made, scale)
