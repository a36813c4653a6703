"""One model for each of many groups, trained and kept together."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ferrnn._src.configs.notices import Notice, warn
from ferrnn._src.models.many_file import read_many, write_many
from ferrnn._src.training.callbacks import History
from ferrnn._src.training.many import (
    Training,
    copied_callbacks,
    group_options,
    trained_together,
)
from ferrnn._src.training.progress import Progbar, checked_verbose
from ferrnn._src.weights.random import draw_seed

# The arguments of `fit` that may differ between groups.
_OF_GROUP = frozenset(
    (
        *("x", "y", "sample_weight", "class_weight", "validation_data", "validation_split"),
        *("batch_size", "epochs", "shuffle", "callbacks", "initial_epoch", "steps_per_epoch"),
        *("validation_steps", "validation_batch_size", "validation_freq"),
    )
)


class ManyModels(Mapping[Hashable, Any]):
    """Models by key, as `fit_many` returns them.

    `histories` has the `History` of each, `seeds` the seed it was trained with, `failures` the
    exceptions of the groups without a model.

    >>> import ferrnn as keras
    >>> def build():
    ...     model = keras.Sequential([keras.Input((4, 1)), keras.layers.GRU(2)])
    ...     model.compile("adam", loss="mse")
    ...     return model
    >>> random = np.random.default_rng(0)
    >>> y = np.zeros((8, 2), "float32")
    >>> groups = {name: (random.normal(size=(8, 4, 1)), y) for name in "ab"}
    >>> many = keras.fit_many(build, groups, epochs=2, seed=1)
    >>> sorted(many), len(many.history("a").history["loss"])
    (['a', 'b'], 2)
    >>> many.predict_many({"b": np.zeros((3, 4, 1))})["b"].shape
    (3, 2)
    """

    def __init__(
        self,
        models: Mapping[Hashable, Any],
        histories: Mapping[Hashable, History] | None = None,
        seeds: Mapping[Hashable, int] | None = None,
        failures: Mapping[Hashable, Exception] | None = None,
    ) -> None:
        self._models = dict(models)
        self.histories = dict(histories or {})
        self.seeds = dict(seeds or {})
        self.failures = dict(failures or {})

    def __getitem__(self, key: Hashable) -> Any:
        try:
            return self._models[key]
        except KeyError:
            error = self.failures.get(key)
            if error is None:
                raise
            raise KeyError(f"the model of {key!r} was not trained: {_told(error)}") from error

    def __iter__(self) -> Iterator[Hashable]:
        return iter(self._models)

    def __len__(self) -> int:
        return len(self._models)

    def __repr__(self) -> str:
        failed = f", {len(self.failures)} failed" if self.failures else ""
        return f"<ManyModels of {len(self)} models{failed}>"

    def history(self, key: Hashable) -> History:
        """The history of one model's training."""
        self[key]  # raises a better error
        return self.histories[key]

    def predict_many(self, inputs: Any, batch_size: int | None = None) -> dict[Hashable, Any]:
        """The outputs of each model by key, for inputs by key or for one array for all models."""
        by_key = inputs if isinstance(inputs, Mapping) else dict.fromkeys(self, inputs)
        self._require_known(by_key, "inputs")
        return {
            key: self[key].predict(x, batch_size=batch_size, verbose=0) for key, x in by_key.items()
        }

    def evaluate_many(
        self, groups: Mapping[Hashable, Any], batch_size: int | None = None
    ) -> dict[Hashable, dict[str, float]]:
        """Loss and metrics of each model, by key, on `(x, y)` or `(x, y, sample_weight)`."""
        self._require_known(groups, "groups")
        known = frozenset(("x", "y", "sample_weight"))
        options = {"batch_size": batch_size, "verbose": 0, "return_dict": True}
        return {
            key: self[key].evaluate(**group_options(key, group, options, known))
            for key, group in groups.items()
        }

    def _require_known(self, given: Any, argument: str) -> None:
        if not isinstance(given, Mapping):
            raise TypeError(
                f"`{argument}` must be a mapping of keys, received {type(given).__name__}"
            )
        for key in given:
            if key not in self._models and key not in self.failures:
                raise KeyError(
                    f"`{argument}` must have keys of models, such as {[*self][:3]}, received "
                    f"{key!r}"
                )
            self[key]  # raises the error of its training

    def save(self, filepath: Any) -> None:
        """Writes all models with their histories and seeds into one file, whole or not at all.

        Keys must be texts, numbers, None, or tuples of them. Failures are not kept.
        """
        write_many(Path(filepath), self._models, self.histories, self.seeds)

    @classmethod
    def load(cls, filepath: Any, custom_objects: Mapping[str, Any] | None = None) -> ManyModels:
        """The models of a file that `save` has written."""
        return cls(*read_many(Path(filepath), custom_objects))


def fit_many(
    build: Callable[..., Any],
    groups: Mapping[Any, Any],
    *,
    seed: int | Mapping[Any, int] | None = None,
    callbacks: Any = None,
    verbose: str | int = 0,
    **options: Any,
) -> ManyModels:
    """Trains one model for each group, all together, and returns them by key.

    `build()`, or `build(key)` if it takes an argument, returns a compiled model. Training is
    fastest if all have the same architecture. `groups` maps keys to `(x, y)`, `(x, y,
    sample_weight)`, or a dict of arguments of `fit`, such as `validation_data`. `options` are
    arguments of `fit` for all: `epochs`, `batch_size`, `validation_split`, `shuffle` and so on.

    Each model is bitwise what `set_random_seed(seeds[key])`, `build` and `fit` would make of it
    alone. Group number n has the seed `seed + n`, or `seed` maps keys to seeds; they are drawn if
    it is None. Each model gets copies of `callbacks`, or what a function `callbacks(key)` returns,
    so each stops early on its own.

    An error in one group does not end the training of the others: a warning names its key, and
    `failures` holds the exception. Models that the engine has no plan for (see `explain_plan`) are
    trained one after another.

    >>> import ferrnn as keras
    >>> def build():
    ...     model = keras.Sequential([keras.Input((5, 1)), keras.layers.LSTM(1)])
    ...     model.compile("adam", loss="mse")
    ...     return model
    >>> series = np.sin(np.arange(40.0)).reshape(8, 5, 1)
    >>> groups = {n: (series, series[:, 0] * n) for n in range(3)}
    >>> stop = keras.callbacks.EarlyStopping("loss", patience=2)
    >>> many = fit_many(build, groups, epochs=4, callbacks=stop)
    >>> len(many), many[2].count_params()
    (3, 12)
    """
    if not callable(build):
        raise TypeError(f"`build` must be a function that returns a model, received {build!r}")
    if not isinstance(groups, Mapping):
        raise TypeError(
            f"`groups` must map keys to (x, y), received {type(groups).__name__}: for a list, pass "
            "`dict(enumerate(groups))`"
        )
    check_options(options)
    checked_verbose(verbose)
    many, alone = train_many(build, groups, seeds_of(groups, seed), callbacks, options, verbose)
    _note_alone(alone)
    note_failures(many.failures, len(groups))
    return many


def check_options(options: Mapping[str, Any]) -> None:
    """Raises TypeError for options that groups do not have."""
    unknown = sorted(set(options) - _OF_GROUP)
    if unknown:
        raise TypeError(
            f"`fit_many` got unexpected arguments {unknown}; it takes the arguments "
            f"{sorted(_OF_GROUP)} of `fit`"
        )


def train_many(
    build: Callable[..., Any],
    groups: Mapping[Any, Any],
    seeds: Mapping[Any, int],
    callbacks: Any,
    options: Mapping[str, Any],
    verbose: str | int = 0,
) -> tuple[ManyModels, list[Training]]:
    """As `fit_many`, for checked arguments and with seeds; also returns what was trained alone."""
    takes_key = _takes_key(build)

    def made(key: Hashable, group: Any) -> Callable[[], tuple[Any, dict[str, Any]]]:
        def make() -> tuple[Any, dict[str, Any]]:
            own = group_options(key, group, options, _OF_GROUP)
            model = build(key) if takes_key else build()
            given = own.pop("callbacks", callbacks)
            return model, {**own, "callbacks": copied_callbacks(given, key), "verbose": 0}

        return make

    trainings = (Training(key, made(key, group), seeds[key]) for key, group in groups.items())
    models: dict[Hashable, Any] = {}
    histories: dict[Hashable, History] = {}
    failures: dict[Hashable, Exception] = {}
    bar = Progbar(len(groups), verbose=1, unit_name="model") if verbose else None
    alone: list[Training] = []
    told: dict[Notice, list[Hashable]] = {}
    for training in trained_together(trainings):
        for notice in training.notices:
            told.setdefault(notice, []).append(training.key)
        if training.history is None:
            assert training.error is not None, "it has ended"
            failures[training.key] = training.error
        else:
            models[training.key], histories[training.key] = training.model, training.history
            alone += [training] if training.history.epoch and not training.worked else []
        if bar is not None:
            bar.update(len(models) + len(failures))
    for (message, category), keys in told.items():
        warn(f"{message} ({_groups(keys)})", category)
    ordered = [key for key in groups if key in models]
    many = ManyModels(
        {key: models[key] for key in ordered},
        {key: histories[key] for key in ordered},
        {key: seeds[key] for key in ordered},
        {key: failures[key] for key in groups if key in failures},
    )
    return many, alone


def seeds_of(groups: Iterable[Any], seed: Any) -> dict[Any, int]:
    """The seed of each key, drawn if none is given."""
    if seed is None:
        return {key: draw_seed() for key in groups}
    if isinstance(seed, Mapping):
        missing = [key for key in groups if key not in seed]
        if missing:
            raise ValueError(
                f"`seed` must have a seed for each group, received none for {missing[:5]}"
            )
        return {key: _seed(seed[key]) for key in groups}
    first = _seed(seed)
    return {key: (first + at) % 2**32 for at, key in enumerate(groups)}


def _seed(seed: Any) -> int:
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
        raise TypeError(
            f"`seed` must be an integer or a mapping of keys to integers, received {seed!r}"
        )
    if not 0 <= seed < 2**32:
        raise ValueError(f"`seed` must lie in [0, 2**32), received {seed}")
    return int(seed)


def _takes_key(build: Callable[..., Any]) -> bool:
    """Whether a function has a required argument."""
    try:
        known = inspect.signature(build).parameters.values()
    except (TypeError, ValueError):  # some built-in functions have no signature
        return False
    places = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return any(each.kind in places and each.default is each.empty for each in known)


def _note_alone(alone: list[Training]) -> None:
    """Warns once that models were trained one by one, and why."""
    if not alone:
        return
    first = alone[0]
    nodes = [(node.name, node.why or node.back) for node in first.model.explain_plan()]
    reasons = [f"{name}: {why}" for name, why in nodes if why]
    why = "; ".join(reasons) or (
        "losses and metrics other than mean errors, crossentropies and accuracies are computed in "
        "NumPy"
    )
    warn(
        f"{len(alone)} models were trained one after another, not together: that of {first.key!r} "
        f"has steps that the engine cannot run alone ({why})"
    )


def note_failures(failures: Mapping[Hashable, Exception], count: int) -> None:
    """Warns about groups that failed, or raises RuntimeError if all did."""
    if not failures:
        return
    key, error = next(iter(failures.items()))
    if len(failures) == count:
        raise RuntimeError(
            f"all of the {count} groups failed; the first, {key!r}, with {_told(error)}"
        ) from error
    told = "; ".join(f"{key!r}: {_told(each)}" for key, each in list(failures.items())[:5])
    more = " and others" if len(failures) > 5 else ""
    warn(f"{len(failures)} of {count} groups failed, see `failures`: {told}{more}", RuntimeWarning)


def _groups(keys: Sequence[Hashable]) -> str:
    """Names some groups.

    >>> _groups("abcd")
    "groups 'a', 'b', 'c' and 1 more"
    """
    known = list(dict.fromkeys(keys))
    more = f" and {len(known) - 3} more" if len(known) > 3 else ""
    return f"group{'s' * (len(known) > 1)} {', '.join(map(repr, known[:3]))}{more}"


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
