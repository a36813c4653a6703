"""Reads PyTorch's pickles: plain data, tensors, inert objects; nothing is imported.

Python's own reader calls what a file names. This one supports only the opcodes in PyTorch's files
(pickle protocol 2, https://docs.python.org/3/library/pickletools.html), and looks names up only in
the caller's table.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

# The deepest nesting of lists and tuples, as callers may walk the result recursively.
_DEEPEST = 200


class PickleError(ValueError):
    """A pickle is damaged or not supported."""


@dataclass(eq=False)
class Named:
    """A class or function named in a pickle, which is never imported or called."""

    name: str


@dataclass(eq=False)
class Inert:
    """An object of a class named in a pickle: its state, without behavior."""

    kind: str
    state: Any = None
    arguments: tuple[Any, ...] = field(default=())


_MARK = object()


def read_pickle(
    data: bytes, functions: Mapping[str, Callable[..., Any]], persistent: Callable[[Any], Any]
) -> Any:
    """The object of a pickle.

    `functions` are those that the pickle may call, by full name; `persistent` returns the object
    for a persistent id. An object of a class becomes an `Inert`.

    Raises:
        PickleError: The pickle is damaged, or has an opcode or a call that is not allowed.

    >>> import pickle
    >>> read_pickle(pickle.dumps({"a": [1, 2.5, None]}, protocol=2), {}, lambda key: key)
    {'a': [1, 2.5, None]}
    >>> class Evil:
    ...     def __reduce__(self):
    ...         return print, ("called",)
    >>> read_pickle(pickle.dumps(Evil(), protocol=2), {}, lambda key: key)
    Traceback (most recent call last):
    ferrnn._src.interop.torch.pickles.PickleError: ... calls __builtin__.print, which is not allowed
    """
    return read_pickle_at(data, 0, functions, persistent)[0]


def read_pickle_at(
    data: bytes,
    start: int,
    functions: Mapping[str, Callable[..., Any]],
    persistent: Callable[[Any], Any],
) -> tuple[Any, int]:
    """The object of the pickle that begins at byte `start`, and where it ends; see `read_pickle`.

    >>> import pickle
    >>> read_pickle_at(b"..." + pickle.dumps(7, protocol=2), 3, {}, lambda key: key)
    (7, 8)
    """
    reader = _Reader(data, functions, persistent)
    reader.at = start
    return reader.run(), reader.at


class _Reader:
    """One reading: the stack machine of the pickle protocol."""

    def __init__(
        self,
        data: bytes,
        functions: Mapping[str, Callable[..., Any]],
        persistent: Callable[[Any], Any],
    ) -> None:
        self.data = data
        self.at = 0
        self.functions = functions
        self.persistent = persistent
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        # By identity; the values are kept, so that no identity is given twice.
        self.depths: dict[int, tuple[int, Any]] = {}

    def run(self) -> Any:
        """Follows the opcodes up to the end of the pickle."""
        while True:
            start = self.at
            code = self.bytes(1)
            if code == b".":
                return self.pop()
            operate = _OPCODES.get(code)
            if operate is None:
                raise PickleError(f"byte {start} of the pickle: opcode {code!r} is not allowed")
            try:
                operate(self)
            except PickleError:
                raise
            except (IndexError, KeyError, TypeError, ValueError, struct.error) as error:
                raise PickleError(
                    f"byte {start} of the pickle: opcode {code!r} does not fit the preceding ones"
                ) from error

    def bytes(self, count: int) -> bytes:
        """The next `count` bytes."""
        if count < 0 or self.at + count > len(self.data):
            raise PickleError(f"byte {self.at} of the pickle: it ends in the middle")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, layout: str) -> Any:
        """The next number of a `struct` layout."""
        return struct.unpack(layout, self.bytes(struct.calcsize(layout)))[0]

    def line(self) -> str:
        """The text up to the next line end."""
        end = self.data.find(b"\n", self.at)
        if end < 0:
            raise PickleError(f"byte {self.at} of the pickle: a name has no end")
        text = self.data[self.at : end].decode("utf-8", "backslashreplace")
        self.at = end + 1
        return text

    def push(self, value: Any, *inside: Any) -> None:
        """Pushes a value on the stack; `inside` are its parts."""
        self.deepen(value, inside)
        self.stack.append(value)

    def deepen(self, value: Any, inside: Any) -> None:
        """Tracks the nesting depth of values."""
        depth = 1 + max((self.depths.get(id(part), (0,))[0] for part in inside), default=0)
        if depth > _DEEPEST:
            raise PickleError(
                f"byte {self.at} of the pickle: values are nested more than {_DEEPEST} levels deep"
            )
        if isinstance(value, list | dict | tuple | Inert):
            known = self.depths.get(id(value), (0,))[0]
            self.depths[id(value)] = (max(depth, known), value)

    def pop(self) -> Any:
        """The value on top of the stack."""
        value = self.stack.pop()
        if value is _MARK:
            raise PickleError(f"byte {self.at} of the pickle: a mark where a value should be")
        return value

    def marked(self) -> list[Any]:
        """The values above the last mark."""
        items: list[Any] = []
        while (value := self.stack.pop()) is not _MARK:
            items.append(value)
        return items[::-1]

    def tuple(self, count: int | None) -> None:
        """A tuple of the last values, or of those above the last mark."""
        taken = self.marked() if count is None else [self.pop() for _ in range(count)][::-1]
        items = tuple(taken)
        self.push(items, *items)

    def append(self, items: list[Any]) -> None:
        """Puts values into the list on the stack."""
        target = self.stack[-1]
        if not isinstance(target, list):
            raise TypeError(target)
        target.extend(items)
        self.deepen(target, items)

    def set_items(self, items: list[Any]) -> None:
        """Puts keys and values into the dict on the stack."""
        target = self.stack[-1]
        if not isinstance(target, dict) or len(items) % 2:
            raise TypeError(target)
        target.update(zip(items[::2], items[1::2], strict=True))
        self.deepen(target, items[1::2])

    def reduce(self) -> None:
        """Calls an allowed function."""
        arguments, function = self.pop(), self.pop()
        name = function.name if isinstance(function, Named) else repr(function)
        allowed = self.functions.get(name)
        if allowed is None or not isinstance(arguments, tuple):
            raise PickleError(f"byte {self.at} of the pickle: calls {name}, which is not allowed")
        value = allowed(*arguments)
        self.push(value, *arguments)

    def new(self) -> None:
        """An object of a class that the pickle names."""
        arguments, kind = self.pop(), self.pop()
        if not isinstance(kind, Named) or not isinstance(arguments, tuple):
            raise TypeError(kind)
        self.push(Inert(kind.name, arguments=arguments), *arguments)

    def build(self) -> None:
        """Sets the state of an inert object; attributes of a dict are ignored."""
        state = self.pop()
        target = self.stack[-1]
        if isinstance(target, Inert):
            target.state = state
            self.deepen(target, [state])

    def remember(self, key: int) -> None:
        """Stores the value on top of the stack under a number."""
        self.memo[key] = self.stack[-1]


def _integer(data: bytes) -> int:
    return int.from_bytes(data, "little", signed=True)


_OPCODES: dict[bytes, Callable[[_Reader], None]] = {
    b"\x80": lambda r: None if r.bytes(1) <= b"\x04" else r.pop(),  # PROTO
    b"c": lambda r: r.push(Named(f"{r.line()}.{r.line()}")),  # GLOBAL
    b"q": lambda r: r.remember(r.number("<B")),  # BINPUT
    b"r": lambda r: r.remember(r.number("<I")),  # LONG_BINPUT
    b"h": lambda r: r.stack.append(r.memo[r.number("<B")]),  # BINGET
    b"j": lambda r: r.stack.append(r.memo[r.number("<I")]),  # LONG_BINGET
    b"X": lambda r: r.push(r.bytes(r.number("<I")).decode("utf-8", "surrogatepass")),  # BINUNICODE
    b"J": lambda r: r.push(r.number("<i")),  # BININT
    b"K": lambda r: r.push(r.number("<B")),  # BININT1
    b"M": lambda r: r.push(r.number("<H")),  # BININT2
    b"\x8a": lambda r: r.push(_integer(r.bytes(r.number("<B")))),  # LONG1
    b"G": lambda r: r.push(r.number(">d")),  # BINFLOAT
    b"N": lambda r: r.push(None),  # NONE
    b"\x88": lambda r: r.push(True),  # NEWTRUE
    b"\x89": lambda r: r.push(False),  # NEWFALSE
    b"]": lambda r: r.push([]),  # EMPTY_LIST
    b"}": lambda r: r.push({}),  # EMPTY_DICT
    b")": lambda r: r.push(()),  # EMPTY_TUPLE
    b"(": lambda r: r.stack.append(_MARK),  # MARK
    b"t": lambda r: r.tuple(None),  # TUPLE
    b"\x85": lambda r: r.tuple(1),  # TUPLE1
    b"\x86": lambda r: r.tuple(2),  # TUPLE2
    b"\x87": lambda r: r.tuple(3),  # TUPLE3
    b"a": lambda r: r.append([r.pop()]),  # APPEND
    b"e": lambda r: r.append(r.marked()),  # APPENDS
    b"s": lambda r: r.set_items([r.pop(), r.pop()][::-1]),  # SETITEM
    b"u": lambda r: r.set_items(r.marked()),  # SETITEMS
    b"Q": lambda r: r.push(r.persistent(r.pop())),  # BINPERSID
    b"R": lambda r: r.reduce(),  # REDUCE
    b"\x81": lambda r: r.new(),  # NEWOBJ
    b"b": lambda r: r.build(),  # BUILD
}
