"""Operations that can be traced: NumPy functions with rules of differentiation.

A rule has one maker for each array argument, `maker(answer, *args, **options) -> (d_answer ->
d_arg)`, or None where there is no gradient. The harder ones are those of HIPS/autograd, which is
imported when the first of them is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import numpy as np

from ferrnn._src.ops.tape import Node, Traced

Maker: TypeAlias = "Callable[..., Callable[[Any], Any]] | None"
# (places of the traced arguments, answer, args, options) -> (d_answer -> gradients for them)
Rule: TypeAlias = "Callable[[tuple[int, ...], Any, Any, Any], Callable[[Any], Iterable[Any]]]"


class Primitive:
    """A function of arrays, given by position, and options, given by name.

    >>> double = Primitive(lambda x: 2 * x, own(lambda answer, x: lambda g: 2 * g))
    >>> from ferrnn._src.symbolic.tracing import differentiate
    >>> outputs, vjp = differentiate(double, np.array([3.0]))
    >>> vjp(np.array([1.0]), None).tolist()
    [2.0]
    """

    __slots__ = ("function", "rule")

    def __init__(self, function: Callable[..., Any], rule: Rule) -> None:
        self.function, self.rule = function, rule

    def __call__(self, *args: Any, **options: Any) -> Any:
        if len(args) == 2 and type(args[0]) is Traced and type(args[1]) is Traced:
            return self._of_two(*args, options)
        if len(args) == 1 and type(args[0]) is Traced:
            return self._of_one(args[0], options)
        for arg in args:
            if type(arg) is Traced:
                return self._traced(args, options)
        return self.function(*args, **options)

    # The most common case, without a loop over the arguments.

    def _of_one(self, x: Traced, options: Any) -> Traced:
        value = x._value
        answer = self.function(value, **options)
        vjp = self.rule((0,), answer, (value,), options)
        return Traced(answer, Node(answer, (x._node,), lambda gradient, grads: vjp(gradient)))

    def _of_two(self, a: Traced, b: Traced, options: Any) -> Traced:
        values = (a._value, b._value)
        answer = self.function(*values, **options)
        vjp = self.rule((0, 1), answer, values, options)
        parents = (a._node, b._node)
        return Traced(answer, Node(answer, parents, lambda gradient, grads: vjp(gradient)))

    def _traced(self, args: Any, options: Any) -> Any:
        places = tuple(place for place, arg in enumerate(args) if type(arg) is Traced)
        values = tuple(arg._value if type(arg) is Traced else arg for arg in args)
        answer = self.function(*values, **options)
        vjp = self.rule(places, answer, values, options)
        parents = [args[place]._node for place in places]
        return Traced(answer, Node(answer, parents, lambda gradient, grads: vjp(gradient)))


def quiet(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function without NumPy's warnings: as in Keras, `log(0)` is just -inf.

    >>> float(quiet(np.log)(0.0))
    -inf
    """

    def silenced(*args: Any, **options: Any) -> Any:
        with np.errstate(all="ignore"):
            return function(*args, **options)

    return silenced


def own(*makers: Maker) -> Rule:
    """The rule from makers, one for each argument."""

    def rule(places: tuple[int, ...], answer: Any, args: Any, options: Any) -> Any:
        if len(places) == 1:
            maker = makers[places[0]]
            if maker is not None:
                vjp = maker(answer, *args, **options)
                return lambda gradient: (vjp(gradient),)
        if places == (0, 1) and makers[0] is not None and makers[1] is not None:
            first = makers[0](answer, *args, **options)
            second = makers[1](answer, *args, **options)
            return lambda gradient: (first(gradient), second(gradient))
        chosen = [makers[place] for place in places]
        vjps = [None if maker is None else maker(answer, *args, **options) for maker in chosen]
        return lambda gradient: [None if vjp is None else vjp(gradient) for vjp in vjps]

    return rule


def of_each(maker: Callable[[int, Any, Any, Any], Callable[[Any], Any]]) -> Rule:
    """The rule from one maker for any number of arguments, which gets the argument's index."""

    def rule(places: tuple[int, ...], answer: Any, args: Any, options: Any) -> Any:
        vjps = [maker(place, answer, args, options) for place in places]
        return lambda gradient: [vjp(gradient) for vjp in vjps]

    return rule


def borrowed(name: str) -> Rule:
    """HIPS/autograd's rule for the NumPy function of that name."""

    def rule(places: tuple[int, ...], answer: Any, args: Any, options: Any) -> Any:
        return _autograd(name)(places, answer, args, options)

    return rule


_loaded: dict[str, Rule] = {}


def _autograd(name: str) -> Rule:
    rule = _loaded.get(name)
    if rule is None:
        import autograd.core  # noqa: PLC0415 - only where users' code is trained
        import autograd.numpy  # noqa: PLC0415

        rule = autograd.core.primitive_vjps[getattr(autograd.numpy, name)]
        _loaded[name] = rule
    return rule


def unbroadcast(gradient: Any, like: Any) -> Any:
    """`gradient` summed over the axes along which `like` was repeated.

    >>> unbroadcast(np.ones((2, 3)), np.ones((1, 3))).tolist()
    [[2.0, 2.0, 2.0]]
    """
    shape = np.shape(like)
    if gradient.shape == shape:
        return gradient
    extra = gradient.ndim - len(shape)
    if extra > 0:
        gradient = np.add.reduce(gradient, axis=tuple(range(extra)))
    repeated = tuple(
        axis for axis, length in enumerate(shape) if length == 1 and np.shape(gradient)[axis] != 1
    )
    return np.add.reduce(gradient, axis=repeated, keepdims=True) if repeated else gradient
