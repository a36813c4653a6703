"""Callbacks, which are called for each epoch and batch of training, testing and predicting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from ferrnn._src.faces import public
from ferrnn._src.training.notebook import Screen, screen_of_notebook
from ferrnn._src.training.plain import plain_attributes
from ferrnn._src.training.progress import Progbar, is_interactive, write

Logs: TypeAlias = dict[str, float]
# The names of the hooks of callbacks.
HOOKS = (
    *(f"on_{kind}_{when}" for kind in ("train", "test", "predict") for when in ("begin", "end")),
    *(
        f"on_{kind}_batch_{when}"
        for kind in ("train", "test", "predict")
        for when in ("begin", "end")
    ),
    "on_epoch_begin",
    "on_epoch_end",
)


class Callback:
    """An object with hooks that `fit`, `evaluate` and `predict` call; subclass and override them.

    `logs` holds the running values of loss and metrics as floats. `self.model` is the model,
    `self.params` has "verbose", "epochs" and "steps".

    >>> class Losses(Callback):
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         print(epoch, sorted(logs))
    >>> Losses().on_epoch_end(0, {"loss": 0.5})
    0 ['loss']
    """

    def __init__(self) -> None:
        self.params: dict[str, Any] = {}
        self.model: Any = None

    def set_params(self, params: dict[str, Any]) -> None:
        """Called once, before anything else."""
        self.params = params

    def set_model(self, model: Any) -> None:
        """Called once, before anything else."""
        self.model = model

    def get_state(self) -> Any:
        """The callback's state, which `BackupAndRestore` saves so that training resumes exactly.

        By default, the attributes that training has changed and that consist of numbers, strings,
        None, arrays, and lists, tuples and dicts of these (an array above 1 MiB counts as changed
        if another one was assigned). A callback with other state returns it here in this form and
        restores it in `set_state`; so does one with attributes that must not be restored.

        >>> class Count(Callback):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.seen = set()
        ...
        ...     def get_state(self):
        ...         return sorted(self.seen)
        ...
        ...     def set_state(self, state):
        ...         self.seen = set(state)
        """
        return plain_attributes(self, frozenset({"params"}))

    def set_state(self, state: Any) -> None:
        """Restores what `get_state` returned, in another process, after `on_train_begin`."""
        vars(self).update(state)

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Another name of `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Another name of `on_train_batch_end`."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """An epoch of training begins."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """An epoch of training has ended, validation included."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """A training batch begins."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """A training batch has ended."""
        self.on_batch_end(batch, logs)

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """A batch of `evaluate`, or of the validation in `fit`, begins."""

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """A batch of `evaluate`, or of the validation in `fit`, has ended."""

    def on_predict_batch_begin(self, batch: int, logs: Any = None) -> None:
        """A batch of `predict` begins."""

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        """A batch of `predict` has ended."""

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """`fit` begins."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """`fit` has ended."""

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """`evaluate`, or the validation in `fit`, begins."""

    def on_test_end(self, logs: Logs | None = None) -> None:
        """`evaluate`, or the validation in `fit`, has ended."""

    def on_predict_begin(self, logs: Any = None) -> None:
        """`predict` begins."""

    def on_predict_end(self, logs: Any = None) -> None:
        """`predict` has ended."""


class History(Callback):
    """Keeps the logs of all epochs: `history[name]` is a list, `epoch` the epochs' numbers.

    >>> history = History()
    >>> history.set_model(LambdaCallback())
    >>> history.on_train_begin()
    >>> history.on_epoch_end(0, {"loss": 0.5})
    >>> history.history, history.epoch
    ({'loss': [0.5]}, [0])
    """

    def __init__(self) -> None:
        super().__init__()
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Starts the list of epochs."""
        self.epoch = []
        self.model.history = self

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Keeps this epoch's logs."""
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)

    def plot(self, metrics: Any = None, *, log: bool = False) -> Any:
        """A figure of loss and metrics by epoch; see `inspection.plot_history`."""
        return public("inspection", "plot_history")(self, metrics, log=log)


class LambdaCallback(Callback):
    """A callback from functions, passed by the names of hooks.

    >>> LambdaCallback(on_epoch_end=lambda epoch, logs: print(logs["loss"])).on_epoch_end(
    ...     0, {"loss": 0.5}
    ... )
    0.5
    """

    def __init__(
        self,
        on_epoch_begin: Callable[..., Any] | None = None,
        on_epoch_end: Callable[..., Any] | None = None,
        on_train_begin: Callable[..., Any] | None = None,
        on_train_end: Callable[..., Any] | None = None,
        on_train_batch_begin: Callable[..., Any] | None = None,
        on_train_batch_end: Callable[..., Any] | None = None,
        **others: Callable[..., Any],
    ) -> None:
        super().__init__()
        named = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
            **others,
        }
        known = {*HOOKS, "on_batch_begin", "on_batch_end"}
        unknown = sorted(name for name in named if name not in known and name.startswith("on_"))
        if unknown:
            raise ValueError(
                f"LambdaCallback must be given hooks among {HOOKS}, received {unknown}"
            )
        for hook, function in named.items():
            if function is not None and not callable(function):
                raise TypeError(f"`{hook}` must be a function, received {function!r}")
            if function is not None:
                setattr(self, hook, function)


class ProgbarLogger(Callback):
    """Draws the progress bar of `fit`, `evaluate` and `predict`.

    >>> ProgbarLogger().verbose
    1
    """

    # If no bar is drawn, no values are needed after each batch.
    unheard: frozenset[str] = frozenset()

    def __init__(self) -> None:
        super().__init__()
        self.progbar: Progbar | None = None
        self.target: int | None = None
        self.verbose = 1
        self.epochs = 1
        self._seen = 0
        self._in_fit = False
        self._screen: Screen | None = None

    def set_params(self, params: dict[str, Any]) -> None:
        """Sets how many steps and epochs there are."""
        verbose = params["verbose"]
        self.verbose = 1 if verbose == "auto" else int(verbose)
        self.epochs = params["epochs"]
        self.target = params["steps"]
        drawn = self.verbose == 1 and is_interactive()
        # Otherwise the number of batches would never be known.
        counts = drawn or self.target is None
        self.unheard = frozenset(() if counts else (hook for hook in HOOKS if "_batch_" in hook))

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Silences the bars of validation."""
        self._in_fit = True
        self._open()

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Prints the number of the epoch, if there are several."""
        if self.verbose and self.epochs > 1:
            told = f"Epoch {epoch + 1}/{self.epochs}\n"
            (write if self._screen is None else self._screen.write)(told)
        self._begin()

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Begins a bar, unless `fit` is drawing one."""
        if not self._in_fit:
            self._open()
            self._begin()

    def on_predict_begin(self, logs: Any = None) -> None:
        """Begins a bar."""
        self._open()
        self._begin()

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Draws the bar, now and then."""
        self._update(batch, logs)

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Draws the bar, now and then, unless `fit` has one."""
        if not self._in_fit:
            self._update(batch, logs)

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        """Draws the bar, now and then."""
        self._update(batch, None)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Ends the bar with the epoch's values."""
        self._end(logs)

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Shows pending output in a notebook."""
        self._close()

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Ends the bar, unless `fit` is drawing one."""
        if not self._in_fit:
            self._end(logs)
            self._close()

    def on_predict_end(self, logs: Any = None) -> None:
        """Ends the bar."""
        self._end(None)
        self._close()

    def _begin(self) -> None:
        self._seen = 0
        self.progbar = Progbar(self.target, verbose=self.verbose)
        if self._screen is not None:
            self.progbar.draw_on(self._screen.write, self._screen.interval)

    def _open(self) -> None:
        self._screen = screen_of_notebook() if self.verbose == 1 else None

    def _close(self) -> None:
        if self._screen is not None:
            self._screen.flush()

    def due(self, batch: int) -> bool:
        """Whether the bar would be drawn after this batch."""
        self._seen = batch + 1
        bar = self.progbar
        # A log gets one line per epoch.
        if bar is None or (bar.verbose == 1 and not bar.interactive):
            return False
        return self._seen == 1 or bar.due()

    def _update(self, batch: int, logs: Logs | None) -> None:
        if self.due(batch) and self.progbar is not None:
            self.progbar.stateful_metrics.update(logs or ())
            self.progbar.update(self._seen, list((logs or {}).items()), finalize=False)

    def _end(self, logs: Logs | None) -> None:
        if self.progbar is None:
            return
        steps = self._seen or self.target or 0
        self.progbar.target = steps
        self.progbar.update(steps, list((logs or {}).items()), finalize=True)
