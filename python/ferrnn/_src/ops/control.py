"""Loops and branches in Keras' form, run eagerly. Python's own work as well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ferrnn._src.ops.shaping import stack
from ferrnn._src.symbolic import tracing
from ferrnn._src.tree.tree import flatten, map_structure


def cond(pred: Any, true_fn: Callable[[], Any], false_fn: Callable[[], Any]) -> Any:
    """`true_fn()` if the condition holds, else `false_fn()`; the gradient is that of the branch.

    >>> cond(True, lambda: 1, lambda: 2)
    1
    """
    return true_fn() if bool(tracing.plain(pred)) else false_fn()


def switch(index: Any, branches: Any, *operands: Any) -> Any:
    """Calls the branch of that index on the operands; the index is clamped to the valid range."""
    place = min(max(int(tracing.plain(index)), 0), len(branches) - 1)
    return branches[place](*operands)


def while_loop(
    cond: Callable[..., Any],
    body: Callable[..., Any],
    loop_vars: Any,
    maximum_iterations: int | None = None,
) -> Any:
    """`loop_vars = body(*loop_vars)` as long as `cond(*loop_vars)` holds.

    >>> while_loop(lambda i: i < 5, lambda i: i + 2, [0])
    [6]
    """
    single = not isinstance(loop_vars, list | tuple)
    state = (loop_vars,) if single else tuple(loop_vars)
    steps = 0
    while bool(tracing.plain(cond(*state))):
        if maximum_iterations is not None and steps >= maximum_iterations:
            break
        new = body(*state)
        state = tuple(new) if isinstance(new, list | tuple) else (new,)
        steps += 1
    if single:
        return state[0]
    return list(state) if isinstance(loop_vars, list) else state


def fori_loop(lower: Any, upper: Any, body_fun: Callable[[int, Any], Any], init_val: Any) -> Any:
    """`value = body_fun(i, value)` for i from `lower` up to `upper`, without it."""
    value = init_val
    for step in range(int(tracing.plain(lower)), int(tracing.plain(upper))):
        value = body_fun(step, value)
    return value


def scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: Any = 1,
) -> tuple[Any, Any]:
    """`carry, y = f(carry, x)` over the first axis of `xs`; gives the last carry, and all ys.

    >>> scan(lambda carry, x: (carry + x, carry), 0, stack([1, 2, 3]))[0].tolist()
    6
    """
    leaves = [] if xs is None else flatten(xs)
    count = len(leaves[0]) if leaves else length
    if count is None:
        raise ValueError("`xs` or `length` of `ops.scan` must be given, received neither")
    if length is not None and length != count:
        raise ValueError(
            f"`length` of `ops.scan` must be the length of `xs`, {count}, received {length}"
        )
    carry, outputs = init, []
    for step in reversed(range(count)) if reverse else range(count):
        x = None if xs is None else _at(xs, step)
        carry, y = f(carry, x)
        outputs.append(y)
    if reverse:
        outputs.reverse()
    return carry, _stacked(outputs)


def _at(structure: Any, step: int) -> Any:
    return map_structure(lambda leaf: leaf[step], structure)


def _stacked(outputs: list[Any]) -> Any:
    if not outputs or outputs[0] is None:
        return None
    if flatten(outputs[0]) == []:
        return outputs[0]
    return map_structure(lambda *leaves: stack(list(leaves)), outputs[0], *outputs[1:])


def map(f: Callable[[Any], Any], xs: Any) -> Any:
    """`f` of each entry along the first axis, with the results stacked."""
    return _stacked([f(_at(xs, step)) for step in range(len(flatten(xs)[0]))])


def vectorized_map(function: Callable[[Any], Any], elements: Any) -> Any:
    """`function` of each entry along the first axis; here the same as `map`."""
    return map(function, elements)


def associative_scan(
    f: Callable[[Any, Any], Any], elems: Any, reverse: bool = False, axis: int = 0
) -> Any:
    """`f` of all entries up to each one along an axis, in order."""
    count = flatten(elems)[0].shape[axis]
    before = (slice(None),) * axis

    def at(step: int) -> Any:
        key = (*before, step)
        return map_structure(lambda leaf: leaf[key], elems)

    order = list(reversed(range(count))) if reverse else list(range(count))
    results = [at(order[0])]
    for step in order[1:]:
        results.append(f(results[-1], at(step)))
    if reverse:
        results.reverse()
    return map_structure(lambda *leaves: stack(list(leaves), axis), results[0], *results[1:])


def custom_gradient(f: Callable[..., Any]) -> Callable[..., Any]:
    """A function of arrays with its own gradient: `f(*args) -> (outputs, grad)`.

    `grad(*args, upstream=d_outputs)` gives the gradient for the arguments.

    >>> @custom_gradient
    ... def halved(x):
    ...     return x, lambda *args, upstream: upstream / 2
    >>> halved(stack([3.0])).tolist()
    [3.0]
    """

    def wrapped(*args: Any) -> Any:
        if tracing.current.get() is None:
            return f(*args)[0]
        return tracing.record(forward, args)

    def forward(args: Any) -> tuple[Any, Any]:
        outputs, grad = f(*args)

        def vjp(d_outputs: Any, grads: Any) -> Any:
            found = grad(*args, upstream=d_outputs)
            return tuple(found) if isinstance(found, list | tuple) else (found,)

        return outputs, vjp

    return wrapped
