"""Names of objects, numbered for each class, and paths of weights."""

import functools
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_counts: Counter[str] = Counter()
_scopes: ContextVar[tuple[tuple[str, object], ...]] = ContextVar("scopes", default=())


@functools.lru_cache(maxsize=256)
def snake_case(name: str) -> str:
    """The name of a class as Keras writes it in paths and files.

    >>> snake_case("SimpleRNN"), snake_case("LSTMCell"), snake_case("Conv1D")
    ('simple_rnn', 'lstm_cell', 'conv1d')
    """
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    name = re.sub("([a-z])([A-Z])", r"\1_\2", name)
    return name.lower()


def unique_name(prefix: str) -> str:
    """Gives `prefix`, then `prefix_1`, `prefix_2`, ...

    >>> unique_name("doctest_layer"), unique_name("doctest_layer")
    ('doctest_layer', 'doctest_layer_1')
    """
    count = _counts[prefix]
    _counts[prefix] += 1
    return f"{prefix}_{count}" if count else prefix


def get_uid(prefix: str = "") -> int:
    """Increments the counter of a prefix, as names of layers do, and returns it.

    >>> get_uid("doctest_uid"), get_uid("doctest_uid"), unique_name("doctest_uid")
    (1, 2, 'doctest_uid_2')
    """
    _counts[prefix] += 1
    return _counts[prefix]


def clear_session(free_memory: bool = True) -> None:
    """Restarts the numbering of names. `free_memory` has no effect: nothing is kept.

    >>> clear_session()
    >>> unique_name("lstm")
    'lstm'
    """
    _counts.clear()


@contextmanager
def counted_anew() -> Iterator[None]:
    """A block in which names are numbered as in a new process, without effect outside.

    >>> with counted_anew():
    ...     unique_name("lstm")
    'lstm'
    """
    before = dict(_counts)
    _counts.clear()
    try:
        yield
    finally:
        _counts.clear()
        _counts.update(before)


@contextmanager
def counts_kept() -> Iterator[None]:
    """A block whose names are numbered on, and given again after it.

    >>> with counts_kept():
    ...     inside = unique_name("doctest_kept")
    >>> inside == unique_name("doctest_kept")
    True
    """
    before = dict(_counts)
    try:
        yield
    finally:
        _counts.clear()
        _counts.update(before)


@contextmanager
def name_scope(
    name: str,
    caller: object = None,
    deduplicate: bool = True,
    override_parent: str | None = None,
) -> Iterator[None]:
    """A block in which the paths of new weights begin with `name/`.

    With `deduplicate`, entering twice for one `caller` adds the name once. `override_parent`
    replaces the path of the open scopes.

    >>> with name_scope("encoder"):
    ...     path_of("kernel")
    'encoder/kernel'
    """
    if not isinstance(name, str) or "/" in name:
        raise ValueError(
            f"Argument `name` must be a string and cannot contain character `/`. Received: {name=}"
        )
    scopes = _scopes.get()
    if deduplicate and caller is not None and scopes and scopes[-1][1] is caller:
        yield
        return
    if override_parent is not None:
        scopes = tuple((part, None) for part in override_parent.split("/") if part)
    token = _scopes.set((*scopes, (name, caller)))
    try:
        yield
    finally:
        _scopes.reset(token)


def path_of(name: str) -> str:
    """The path of something called `name` made in the current scope.

    >>> with name_scope("lstm"):
    ...     path_of("kernel")
    'lstm/kernel'
    """
    return "/".join([*(scope for scope, _ in _scopes.get()), name])


def current_owner() -> object:
    """The owner of the innermost scope, or None outside of scopes.

    >>> owner = object()
    >>> with name_scope("lstm", owner):
    ...     current_owner() is owner
    True
    """
    scopes = _scopes.get()
    return scopes[-1][1] if scopes else None


def current_path() -> str:
    """The path of the innermost scope.

    >>> with name_scope("bidirectional"), name_scope("forward_lstm"):
    ...     current_path()
    'bidirectional/forward_lstm'
    """
    return "/".join(scope for scope, _ in _scopes.get())
