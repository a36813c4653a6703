"""A list of callbacks as one, which calls only the hooks that each one overrides."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ferrnn._src.training.callbacks import HOOKS, Callback, History, ProgbarLogger
from ferrnn._src.training.progress import checked_verbose


class CallbackList:
    """A list of callbacks, each of which is told only what it listens to.

    `add_history` and `add_progbar` add these two unless they are there; `params` (or keywords:
    `verbose`, `epochs`, `steps`) and `model` are passed on. In a custom training loop, call
    the hooks as methods.

    >>> from ferrnn.callbacks import LambdaCallback
    >>> heard = LambdaCallback(on_epoch_begin=lambda epoch, logs: print("epoch", epoch))
    >>> CallbackList([heard], model=None, params={}).tell("on_epoch_begin", 3, {})
    epoch 3
    >>> CallbackList([heard], epochs=1).on_epoch_begin(4)
    epoch 4
    """

    def __init__(
        self,
        callbacks: Iterable[Any] | Callback | None = None,
        add_history: bool = False,
        add_progbar: bool = False,
        model: Any = None,
        *,
        params: Mapping[str, Any] | None = None,
        **named: Any,
    ) -> None:
        self.callbacks = list(_flat(callbacks))
        for wanted, kind in ((add_history, History), (add_progbar, ProgbarLogger)):
            if wanted and not any(isinstance(each, kind) for each in self.callbacks):
                self.callbacks.append(kind())
        self.params = {**(params or {}), **named}
        for callback in self.callbacks:
            if isinstance(callback, type) or not hasattr(callback, "set_model"):
                raise TypeError(f"`callbacks` must be `Callback` objects, received {callback!r}")
            callback.set_model(model)
            if self.params:
                callback.set_params(self.params)
        self._listeners: dict[str, list[Callable[..., None]]] = {
            hook: [getattr(each, hook) for each in self.callbacks if hears(each, hook)]
            for hook in HOOKS
        }

    def __iter__(self) -> Iterator[Any]:
        return iter(self.callbacks)

    def __getattr__(self, name: str) -> Any:
        if name not in HOOKS:
            raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}")
        places = 1 if "batch" in name or "epoch" in name else 0

        def announce(*arguments: Any, logs: Any = None) -> None:
            given = {} if logs is None else logs
            self.tell(name, *(arguments if len(arguments) > places else (*arguments, given)))

        return announce

    def heard(self, hook: str) -> bool:
        """Whether any callback overrides the hook, so that logs are needed."""
        return bool(self._listeners[hook])

    def bars(self, hook: str) -> int:
        """How many progress bars listen, which need logs only now and then."""
        owners = (getattr(listener, "__self__", None) for listener in self._listeners[hook])
        return sum(type(owner) is ProgbarLogger for owner in owners)

    def only_bars(self, hook: str) -> bool:
        """Whether nobody else listens."""
        return self.bars(hook) == len(self._listeners[hook])

    def due(self, hook: str, batch: int) -> bool:
        """Whether any callback wants the logs of this batch; a bar is drawn only now and then."""
        wanted = False
        for listener in self._listeners[hook]:
            owner = getattr(listener, "__self__", None)
            if type(owner) is not ProgbarLogger or owner.due(batch):  # every bar is asked
                wanted = True
        return wanted

    def tell(self, hook: str, *arguments: Any) -> None:
        """Calls `hook` of the callbacks that override it."""
        for listener in self._listeners[hook]:
            listener(*arguments)


def hooks_of(
    model: Any,
    callbacks: Iterable[Any] | None,
    history: History | None,
    *,
    verbose: str | int,
    epochs: int,
    steps: int | None,
) -> CallbackList:
    """The callbacks of a call of `fit` or the like: the user's, the history and the bar."""
    verbose = checked_verbose(verbose)
    added: list[Any] = [history] if history is not None else []
    if verbose:
        added.append(ProgbarLogger())
    params = {"verbose": verbose, "epochs": epochs, "steps": steps}
    return CallbackList([*listed(callbacks), *added], model=model, params=params)


def listed(callbacks: Any) -> list[Any]:
    """Callbacks one by one, from a single one or from nested lists.

    >>> len(listed([History(), [History()]]))
    2
    """
    return list(_flat(callbacks))


def _flat(callbacks: Any) -> Iterator[Any]:
    if callbacks is None:
        return
    if isinstance(callbacks, Iterable) and not isinstance(callbacks, str):
        for each in callbacks:
            yield from _flat(each)
    else:
        yield callbacks


def hears(callback: Any, hook: str) -> bool:
    """Whether a callback overrides `hook`.

    >>> hears(History(), "on_epoch_end"), hears(History(), "on_train_batch_end")
    (True, False)
    """
    own = getattr(callback, hook, None)
    if own is None or hook in getattr(callback, "unheard", ()):
        return False
    if getattr(own, "__func__", own) is not getattr(Callback, hook):
        return True
    short = hook.replace("on_train_batch", "on_batch")  # the base calls one from the other
    return short != hook and hears(callback, short)


# Callbacks that change nothing of a model but the values of weights and the learning rate. By name,
# as loading their code would cost programs that only predict a tenth of a megabyte.
_LOOKING_ON = frozenset(
    f"ferrnn._src.training.{name}"
    for name in (
        "callbacks.History",
        "callbacks.ProgbarLogger",
        "stopping.EarlyStopping",
        "rates.ReduceLROnPlateau",
    )
)


def looks_on(callback: Any) -> bool:
    """Whether a callback does not change the layers and the compiled parts of a model.

    >>> from ferrnn.callbacks import CSVLogger, History
    >>> looks_on(History()), looks_on(CSVLogger("log.csv"))
    (True, False)
    """
    kind = type(callback)
    return f"{kind.__module__}.{kind.__qualname__}" in _LOOKING_ON
