"""Objects with weights, their own and those of their parts: how weights are made, read and set."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from ferrnn._src.configs.config import floatx
from ferrnn._src.configs.names import current_owner, name_scope, unique_name
from ferrnn._src.files.limits import spend
from ferrnn._src.symbolic import tracing
from ferrnn._src.tree.tree import CONTAINERS, leaves_once
from ferrnn._src.tree.types import Array
from ferrnn._src.weights import constraints, initializers, regularizers
from ferrnn._src.weights.gathering import Gathering
from ferrnn._src.weights.initializer import Initializer, is_undrawn
from ferrnn._src.weights.one_version import one_version
from ferrnn._src.weights.parameter import Parameter, note_change
from ferrnn._src.weights.penalties import traced_penalties, weight_penalties
from ferrnn._src.weights.random import SeedGenerator

Method = TypeVar("Method", bound=Callable[..., Any])

# The types of most attributes, none of which is a layer.
_PLAIN: frozenset[type] = frozenset((str, int, float, bool, type(None), Parameter))
# Attributes with lists and tuples of anything else.
_NO_LAYERS = frozenset(("_chain", "_frozen", "_inbound_nodes", "_own_weights", "build_shape"))
# Attributes that do not affect what a layer computes; some are set in every training step.
_NOT_PLANNED = frozenset(("built", "build_shape", "packed", "packed_rounded"))


def shape_first(method: Method) -> Method:
    """A decorator of `add_weight` that explains calls with the name first, as in Keras 2."""

    @functools.wraps(method)
    def checked(self: Any, *args: Any, **options: Any) -> Any:
        if len(args) > 3:
            raise TypeError(
                f"{method.__name__}() takes at most 3 positional arguments (shape, initializer, "
                f"dtype), received {len(args)}: pass the others by name"
            )
        if args and not isinstance(args[0], str) and "shape" in options:
            raise ValueError(
                "`shape` was passed both positionally and as a keyword argument. "
                f"Received: {method.__name__}({args[0]!r}, shape={options['shape']!r}, ...)."
            )
        if args and isinstance(args[0], str):
            raise ValueError(
                "`name` must be passed as a keyword argument. "
                f"Received: {method.__name__}({args[0]!r}, ...). "
                f"Use: {method.__name__}(shape=..., name={args[0]!r})."
            )
        return method(self, *args, **options)

    return checked  # type: ignore[return-value]


def variable_dtype(dtype: Any) -> str:
    """The name of a variable's dtype, with Keras' meaning of "int" and "float".

    >>> variable_dtype("int"), variable_dtype(np.float64), variable_dtype("bool")
    ('int32', 'float64', 'bool')
    """
    found = getattr(dtype, "name", dtype)
    try:
        kind = np.dtype({"float": floatx(), "int": "int32"}.get(found, found))
    except TypeError:
        kind = np.dtype("O")
    if kind.kind not in "iub" and kind.name not in ("float32", "float64"):
        raise ValueError(
            "`dtype` of a weight must be float32, float64, bool or an integer dtype, received "
            f"{dtype!r}"
        )
    return str(kind.name)


class Weighted:
    """The weights of a layer; `Layer` adds what it computes with them."""

    name: str
    dtype: str
    built: bool
    activity_regularizer: Any = None
    _activity_losses: tuple[float, ...] = ()
    input_spec: Any = None
    _path: str | None = None
    _building = False  # while `build` runs
    _frozen: tuple[Parameter, ...] = ()  # weights that are frozen because the layer is
    _trainable: bool
    _own_weights: list[Parameter]
    _added_losses: list[Any]

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        # Plans depend on the settings of built-in layers, and are made anew after a change.
        if name[0] == "_" or name in _NOT_PLANNED or not vars(self).get("built"):
            return
        if type(self).__module__.startswith("ferrnn."):
            note_change()

    @shape_first
    def add_weight(
        self,
        shape: Sequence[int] | None = None,
        initializer: Any = None,
        dtype: object = None,
        trainable: bool = True,
        autocast: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        aggregation: str | None = "none",
        overwrite_with_gradient: bool = False,
        name: str | None = None,
    ) -> Parameter:
        """Makes a weight, by default a scalar of the layer's dtype, and tracks it.

        The penalty of a regularizer joins the loss; a constraint is applied after each update.
        Without an initializer, floats are initialized by "glorot_uniform" and other dtypes to zero.
        `autocast` and `aggregation` are accepted for compatibility and have no effect.
        """
        if overwrite_with_gradient:
            raise ValueError(
                f"`overwrite_with_gradient` of a weight of layer {self.name!r} must be False, "
                "received True: training in 8 bits is not supported"
            )
        if self.built and not self._building and current_owner() is self:
            raise ValueError(
                "You cannot add new elements of state (variables or sub-layers) to a layer that is "
                f"already built: layer {self.name!r} makes the weight {name!r} in its call. All "
                "state must be created in the `__init__()` method or in the `build()` method."
            )
        if not isinstance(shape, Sequence | None):
            raise ValueError(f"Cannot convert '{shape}' to a shape.")  # noqa: TRY004 - Keras' error
        shape = () if shape is None else tuple(shape)
        dtype = self.dtype if dtype is None else variable_dtype(dtype)
        default = "glorot_uniform" if np.dtype(dtype).kind == "f" else "zeros"
        initializer = initializers.get(default if initializer is None else initializer)
        name = unique_name("variable") if name is None else name
        spend(shape, np.dtype(dtype).itemsize, f"the weight {name!r} of layer {self.name!r}")
        known = isinstance(initializer, Initializer) and np.dtype(dtype).kind != "f"
        # Built-in initializers make floats only.
        begin = np.zeros if is_undrawn(initializer) else initializer
        value = np.asarray(begin(shape, dtype="float64" if known else dtype))
        if value.shape != shape:
            raise ValueError(
                f"the initializer of the weight {name!r} of layer {self.name!r} must return the "
                f"shape {shape}, received {value.shape}"
            )
        with name_scope(self.name, self):
            parameter = Parameter(
                value,
                name,
                trainable=trainable,
                dtype=dtype,
                regularizer=regularizers.get(regularizer),
                constraint=constraints.get(constraint),
            )
        self._own_weights.append(parameter)
        return parameter

    def add_variable(self, *args: Any, **options: Any) -> Parameter:
        """Another name of `add_weight`."""
        return self.add_weight(*args, **options)

    @property
    def path(self) -> str | None:
        """The layer's path through the layers that hold it; None before it is built."""
        return self._path

    @property
    def compute_dtype(self) -> str:
        """The name of the dtype of computations, which is also that of the weights."""
        return self.dtype

    variable_dtype = compute_dtype

    def sublayers(self) -> Iterator[Any]:
        """The layers that this one holds as attributes, alone or in lists, tuples and dicts."""
        for name, value in vars(self).items():
            if type(value) in _PLAIN or name in _NO_LAYERS:
                continue
            if isinstance(value, Weighted):
                yield value
            elif isinstance(value, CONTAINERS) and value:
                yield from (part for part in leaves_once(value) if isinstance(part, Weighted))

    def _all_weights(self) -> list[Parameter]:
        own = self._own_parameters()
        own.sort(key=self._comes_last)
        for layer in self.sublayers():
            own += layer._all_weights()
        return list(dict.fromkeys(own))

    def _comes_last(self, weight: Parameter) -> bool:
        """Whether a weight would not be trained even if the layer were trainable."""
        return not weight.trainable and weight not in self._frozen

    def _own_parameters(self) -> list[Parameter]:
        """The weights that `add_weight` made, then parameters that are plain attributes."""
        assigned = [value for value in vars(self).values() if isinstance(value, Parameter)]
        return list(dict.fromkeys([*self._own_weights, *assigned]))

    @property
    def weights(self) -> list[Parameter]:
        """All weights: the layer's own, then those of the layers it holds."""
        return self._all_weights()

    @property
    def variables(self) -> list[Parameter]:
        """The weights, and the states of random number generators; each layer's own come first."""
        own = sorted(self._own_parameters(), key=self._comes_last)
        held = (leaf for value in vars(self).values() for leaf in leaves_once(value))
        for each in held:
            if isinstance(each, SeedGenerator):
                each.state.path = f"{self.path or self.name}/{each.name}/{each.state.name}"
                own.append(each.state)
        for layer in self.sublayers():
            own += layer.variables
        return list(dict.fromkeys(own))

    @property
    def trainable(self) -> bool:
        """Whether training changes the layer; setting it also sets the layers inside."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        for weight in self._frozen if value else self._own_parameters():
            if value:
                weight.trainable = True
            elif weight.trainable:
                self._frozen = (*self._frozen, weight)
                weight.trainable = False
        self._frozen = () if value else self._frozen
        note_change()
        for layer in self.sublayers():
            layer.trainable = value

    @property
    def trainable_weights(self) -> list[Parameter]:
        """The weights that training changes."""
        if not self._trainable:
            return []
        own = [parameter for parameter in self._own_parameters() if parameter.trainable]
        for layer in self.sublayers():
            own += layer.trainable_weights
        return list(dict.fromkeys(own))

    trainable_variables = trainable_weights

    @property
    def non_trainable_weights(self) -> list[Parameter]:
        """The weights that training does not change."""
        changing = set(self.trainable_weights)
        return [parameter for parameter in self.weights if parameter not in changing]

    @property
    def non_trainable_variables(self) -> list[Parameter]:
        """The variables that training does not update."""
        changing = set(self.trainable_weights)
        return [variable for variable in self.variables if variable not in changing]

    @property
    def metrics(self) -> list[Any]:
        """The metrics that the layer and those inside hold as attributes."""
        held = (leaf for value in vars(self).values() for leaf in leaves_once(value))
        found = [each for each in held if isinstance(each, Gathering)]
        for layer in self.sublayers():
            found += layer.metrics
        return list({id(metric): metric for metric in found}.values())

    @property
    def metrics_variables(self) -> list[Parameter]:
        """The variables of `metrics`."""
        return [variable for metric in self.metrics for variable in metric.variables]

    @property
    def losses(self) -> list[float]:
        """What the layer adds to the loss: penalties on its last outputs, then those on weights."""
        weights = self.trainable_weights
        traced = tracing.current.get() is not None
        penalties = traced_penalties(weights) if traced else weight_penalties(weights)
        return [*self._activity_penalties(), *penalties]

    def _activity_penalties(self) -> list[Any]:
        traced = tracing.current.get() is not None
        added = (
            self._added_losses
            if traced
            else [float(tracing.plain(each)) for each in self._added_losses]
        )
        inner = (penalty for layer in self.sublayers() for penalty in layer._activity_penalties())
        return [*added, *self._activity_losses, *inner]

    def adds_losses(self) -> bool:
        """Whether the layer, or one inside, has a penalty on its outputs."""
        if self.activity_regularizer is not None:
            return True
        return any(layer.adds_losses() for layer in self.sublayers())

    def get_weights(self) -> list[Array]:
        """Copies of the weights, in the order of `weights`."""
        return [parameter.numpy() for parameter in self.weights]

    def set_weights(self, weights: Sequence[ArrayLike]) -> None:
        """Sets all weights, in the order of `weights`; nothing changes if one does not fit.

        A call of the layer in another thread sees either all old or all new weights.
        """
        known = self.weights
        if len(known) != len(weights):
            raise ValueError(
                f"You called `set_weights(weights)` on layer {self.name!r} with a weight list of "
                f"length {len(weights)}, but the layer was expecting {len(known)} weights."
            )
        for parameter, value in zip(known, weights, strict=True):
            if np.shape(value) != parameter.shape:
                raise ValueError(
                    f"Layer {self.name!r} weight shape {parameter.shape} of {parameter.path!r} is "
                    f"not compatible with provided weight shape {np.shape(value)}."
                )
        with one_version():
            for parameter, value in zip(known, weights, strict=True):
                parameter.assign(value)

    # What files keep besides weights, such as vocabularies.

    def named_arrays(self) -> dict[str, Array]:
        """Named arrays that a file keeps beside the weights."""
        return {}

    def set_named_arrays(self, arrays: Mapping[str, Array]) -> None:
        """Restores what `named_arrays` returned."""

    def text_assets(self) -> dict[str, str]:
        """Named texts for the folder `assets` of a `.keras` file."""
        return {}

    def set_text_assets(self, assets: Mapping[str, str]) -> None:
        """Restores what `text_assets` returned."""

    # Hooks with which users' classes store other things.

    def save_own_variables(self, store: dict[str, Any]) -> None:
        """Puts the layer's own weights into the store of a file, under their indices.

        A class that overrides this may store arrays under any names, and reads them in
        `load_own_variables`.

        >>> from ferrnn.layers import Dense
        >>> layer, store = Dense(2), {}
        >>> layer.build((None, 3))
        >>> layer.save_own_variables(store)
        >>> {name: array.shape for name, array in store.items()}
        {'0': (3, 2), '1': (2,)}
        """
        for place, variable in enumerate(self._stored_parameters()):
            store[str(place)] = variable.numpy()

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Restores what `save_own_variables` stored."""
        variables = self._stored_parameters()
        if len(store) != len(variables):
            built = "" if self.built or variables else " (it was never built)"
            raise ValueError(
                f"Layer {self.name!r}{built} expected {len(variables)} variables, but received "
                f"{len(store)} variables during loading. Expected: "
                f"{[variable.name for variable in variables]}"
            )
        with one_version():
            for place, variable in enumerate(variables):
                variable.assign(store[str(place)])

    def _stored_parameters(self) -> list[Parameter]:
        """The layer's own weights in the order of files: trainable ones first."""
        return sorted(self._own_parameters(), key=self._comes_last)

    def save_assets(self, inner_path: str) -> None:
        """Writes files into a folder that a `.keras` file stores for `load_assets`."""

    def load_assets(self, inner_path: str) -> None:
        """Reads the files that `save_assets` wrote."""

    def count_params(self) -> int:
        """The number of entries of all weights."""
        if not self.built:
            raise ValueError(
                f"You tried to call `count_params` on layer {self.name!r}, but the layer isn't "
                f"built. You can build it manually via: `layer.build(input_shape)`."
            )
        return sum(parameter.size for parameter in self.weights)
