"""`Model`: layers as a graph from inputs to outputs, or as the code of a subclass."""

from __future__ import annotations

import inspect
import reprlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ferrnn._src.configs.names import current_path, name_scope
from ferrnn._src.faces import later, public
from ferrnn._src.layer.calling import (
    leaving_no_trace,
    outputs_by_probe,
    outputs_by_shape,
    resolved_training,
)
from ferrnn._src.layer.casting import cast_floats
from ferrnn._src.layer.input_spec import check_inputs
from ferrnn._src.layer.layer import PLAIN_CALLS, Call, Layer, Vjp
from ferrnn._src.layer.masked import carried_mask, with_masks
from ferrnn._src.layer.operations import Operation
from ferrnn._src.models.by_plan import ByPlan
from ferrnn._src.models.carried import Carried
from ferrnn._src.models.described import Described
from ferrnn._src.models.graph import Graph
from ferrnn._src.models.inputs import Inputs
from ferrnn._src.models.order import check_connected, cut_out
from ferrnn._src.models.reading import functional_from
from ferrnn._src.models.writing import functional_config
from ferrnn._src.sequence.stream import Stream
from ferrnn._src.symbolic.shapes import map_shapes, shapes_of
from ferrnn._src.symbolic.symbolic import Arguments, SymbolicTensor, is_symbolic
from ferrnn._src.training.plan_parts import Lowering
from ferrnn._src.training.trainer import Trainer
from ferrnn._src.tree.tree import flatten, map_structure, pack_like
from ferrnn._src.weights.parameter import Gradients

if TYPE_CHECKING:
    from ferrnn._src.models import expanding, lowering
    from ferrnn._src.models import stream as streaming
    from ferrnn._src.sequence.sessions import Sessions
else:
    expanding = later("ferrnn._src.models.expanding")
    lowering = later("ferrnn._src.models.lowering")
    streaming = later("ferrnn._src.models.stream")


class Model(ByPlan, Described, Carried, Layer, Trainer):
    """A model: `Model(inputs, outputs)` of symbolic tensors, or a subclass that defines `call`.

    Inputs and outputs are symbolic tensors, or lists, tuples or dicts of them. A layer may be
    called several times (its weights are shared), and a model may be called like a layer.

    >>> import ferrnn as keras
    >>> prices, news = keras.Input((5, 3), name="prices"), keras.Input((2,), name="news")
    >>> read, h, c = keras.layers.LSTM(4, return_state=True)(prices)
    >>> model = keras.Model([prices, news], [keras.layers.Dense(1)(read + h), news])
    >>> up, same = model([np.zeros((7, 5, 3)), np.ones((7, 2))])
    >>> up.shape, same.shape
    ((7, 1), (7, 2))
    """

    takes_several = True
    __setattr__: Any = object.__setattr__  # plans contain only the graph of a model

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        if cls is Model and _is_functional(args, kwargs):
            return super().__new__(Functional, *args, **kwargs)
        return super().__new__(cls, *args, **kwargs)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if not _is_functional(args, kwargs):
            super().__init__(*args, **kwargs)
            return
        given = _FUNCTIONAL.bind(*args, **kwargs)
        trainable = given.arguments.pop("trainable", True)
        super().__init__(name=given.arguments.pop("name", None))
        self._connect(**given.arguments)
        self.built, self._path = True, self.name
        if not trainable:
            self.trainable = False

    def _connect(self, inputs: Any, outputs: Any) -> None:
        """Makes the graph between symbolic tensors."""
        for argument, value in (("inputs", inputs), ("outputs", outputs)):
            leaves = flatten(value)
            if not leaves or not all(isinstance(leaf, SymbolicTensor) for leaf in leaves):
                raise ValueError(
                    f"All `{argument}` values must be KerasTensors (of `Input` or of layers called "
                    f"on them). Received: {argument}={value!r}"
                )
        if len(set(map(id, flatten(inputs)))) < len(flatten(inputs)):
            raise ValueError(
                "The list of inputs passed to the model contains the same input multiple times. "
                f"All inputs should only appear once. Received inputs={inputs!r}"
            )
        inputs, outputs = cut_out(inputs, outputs)
        check_connected(inputs, outputs)
        self._graph = Graph(flatten(inputs), flatten(outputs))
        self._ends = Inputs(inputs, self._graph.raw_inputs())
        self._outputs_structure = outputs
        self._inference = (0, None, 0)
        self._check_names()

    def _check_names(self) -> None:
        names = [layer.name for layer in self.layers]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(
                f"The name {twice[0]!r} is used {names.count(twice[0])} times in the model. "
                "All operation names should be unique."
            )

    # A model also has the metrics of `compile`.
    metrics = Trainer.metrics
    metrics_variables = Trainer.metrics_variables

    # The graph.

    def _listed_layers(self) -> list[Layer]:
        if self._graph is None:
            return list(dict.fromkeys(super().sublayers()))
        return [layer for layer in self._graph.operations if not isinstance(layer, Operation)]

    def sublayers(self) -> Iterator[Layer]:
        # A subclass may hold layers besides its graph; a plain graph does not.
        if self._graph is not None:
            yield from self._graph.operations
            if type(self) in _PLAIN:
                return
        yield from super().sublayers()

    @property
    def written_with_call(self) -> bool:
        own = type(self).call is not Model.call
        return self._graph is None and type(self).forward is Model.forward and own

    # Shapes.

    def build(self, input_shape: Any = None) -> None:
        """Makes the weights of a subclassed model by a call on zeros of `input_shape`."""
        if self._graph is not None or input_shape is None:
            return
        zeros = map_shapes(lambda shape: np.zeros([each or 1 for each in shape]), input_shape)
        self.built = True
        with leaving_no_trace(self):
            self(zeros)
        self._called_with_zeros = True

    def build_for(self, inputs: Any) -> None:
        several = type(inputs) is Arguments and type(self).build is Model.build
        text = any(_is_text(leaf) for leaf in flatten(inputs))  # there are no zeros for texts
        if self._graph is not None or not (several or text):
            super().build_for(inputs)
            if self._called_with_zeros:
                self._note_inputs(inputs)
            return
        with name_scope(self.name, self):
            self._path = current_path()
        self.built = True
        if is_symbolic(inputs):
            return  # the call that is recorded makes the weights
        with leaving_no_trace(self):
            self.forward(inputs if text else map_structure(_zeros_like, inputs), Call())

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the outputs for inputs of the given shape."""
        if self._graph is None:
            return shapes_of(outputs_by_probe(self, _tensors(input_shape)))
        arranged = self._ends.arrange_shapes(input_shape)
        shapes = self._graph.shapes(arranged)
        return shapes[0] if self._one_output else pack_like(self._outputs_structure, shapes)

    def symbolic_outputs(self, inputs: Any) -> Any:
        if self._graph is None:
            own = type(self).compute_output_shape is not Model.compute_output_shape
            if own:
                return outputs_by_shape(self, self.main_input(inputs))
            return outputs_by_probe(self, inputs)
        parts = self._graph.propagate(flatten(inputs))
        made = [SymbolicTensor(part.shape, part.dtype) for part in parts]
        return made[0] if self._one_output else pack_like(self._outputs_structure, made)

    # Calling.

    def gather(self, *args: Any, **kwargs: Any) -> Any:
        """The inputs in the order of `inputs`: the only one, or a tuple."""
        inputs = super().gather(*args, **kwargs)
        return inputs if self._graph is None else self._ends.arrange(inputs, self.name)

    def cast_inputs(self, inputs: Any) -> Any:
        """Gathered inputs as arrays of the dtypes and shapes that the model takes."""
        if self._graph is not None:
            return self._of_ends(inputs)
        # The code of a subclass gets integers and strings without a cast.
        leaves = flatten(inputs)
        if type(inputs) is Arguments or all(isinstance(leaf, np.ndarray) for leaf in leaves):
            return cast_floats(inputs, self._float)
        return super().cast_inputs(inputs)

    def _of_ends(self, inputs: Any) -> Any:
        arrays = self._ends.cast(inputs, self.name)
        if self.input_spec is not None:  # the user's own code
            check_inputs(self.input_spec, arrays, self.name)
        return arrays

    def prepare_inputs(self, inputs: Any) -> Any:
        """`inputs` as `forward` takes them; builds the model if it is not built yet."""
        if self._graph is not None and type(inputs) is np.ndarray and self._ends.single:
            return self._of_ends(inputs)
        prepared = self.cast_inputs(self.gather(inputs))
        if not self.built:
            self.build_for(prepared)
        return prepared

    def forward(self, inputs: Any, call: Call) -> tuple[Any, Vjp | None]:
        """Outputs for prepared inputs, and their vjp."""
        if self._graph is None:
            if self._called_with is None:
                self._called_with = expanding.described(inputs)
            return super().forward(inputs, call)
        outputs, _, vjp = self.outputs_and_mask(inputs, call)
        return outputs, vjp

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask of the outputs, given that of the inputs."""
        if self._graph is None:
            return super().compute_mask(inputs, mask)
        prepared = self.cast_inputs(self.gather(inputs))
        return self.outputs_and_mask(prepared, Call(mask=mask))[1]

    def _outputs(self, arrays: Any, training: bool | None, mask: Any) -> Any:
        if self._graph is None:
            return super()._outputs(arrays, training, mask)
        training = resolved_training(training)
        call = PLAIN_CALLS[training] if mask is None else Call(training=training, mask=mask)
        outputs, made, _ = self.outputs_and_mask(arrays, call)
        return with_masks(outputs, made)

    def outputs_and_mask(self, inputs: Any, call: Call) -> tuple[Any, Any, Vjp | None]:
        """Outputs for prepared inputs, their mask (a list for several), and the vjp if wanted."""
        graph = self._graph
        if graph is None:
            outputs, own_vjp = self.forward(inputs, call)
            return outputs, carried_mask(outputs), own_vjp
        if not call.differentiable and call.mask is None and not call.training:
            planned = self._planned_outputs(inputs)
            if planned is not None:
                return planned, None, None
        one_input, one_output = self._ends.single, self._one_output
        masks = None
        if call.mask is not None:
            masks = [call.mask] if one_input else list(call.mask)
        results, known, backward = graph.run([inputs] if one_input else inputs, masks, call)
        outputs = results[0] if one_output else pack_like(self._outputs_structure, results)
        mask = known[0] if known is not None and one_output else known
        if backward is None:
            return outputs, mask, None

        def vjp(d_outputs: Any, grads: Gradients) -> Any:
            d_inputs = backward([d_outputs] if one_output else flatten(d_outputs), grads)
            return d_inputs[0] if one_input else tuple(d_inputs)

        return outputs, mask, vjp

    def lowered(self) -> Lowering:
        """The model as parts of the engine, as far as its layers can be parts."""
        return lowering.lowered(self, _PLAIN)

    def stream(self, streams: int = 1) -> Stream:
        """The model one time step a call, for one or several sequences at once, states kept.

        The layers must follow one another: a Sequential, or a graph without forks.

        >>> import ferrnn as keras
        >>> inputs = keras.Input((None, 3))
        >>> read = keras.layers.GRU(4, return_sequences=True)(inputs)
        >>> stream = keras.Model(inputs, keras.layers.Dense(1)(read)).stream()
        >>> stream([1.0, 0.0, -1.0]).shape
        (1,)
        """
        return streaming.make_stream(self, _PLAIN, streams)

    def sessions(self, limit: int | None = None) -> Sessions:
        """Sequences by id, any of which take their next step together: see `Sessions`.

        >>> import ferrnn as keras
        >>> inputs = keras.Input((None, 3))
        >>> model = keras.Model(inputs, keras.layers.LSTM(4)(inputs))
        >>> model.sessions(limit=100).step(["ann"], [[1.0, 0.0, -1.0]]).shape
        (1, 4)
        """
        sessions: Sessions = public("models", "Sessions")(self.stream(), limit)
        return sessions

    # Configuration.

    def get_config(self) -> dict[str, Any]:
        """The layers of a graph and how they are connected, as plain data.

        For a class whose constructor makes the graph, the constructor's arguments instead.
        """
        own = self._remembers and not _takes_graph(type(self))
        return super().get_config() if self._graph is None or own else functional_config(self)

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Any:
        """A new model of the same layers; `custom_objects` names custom classes.

        >>> from ferrnn.layers import Dense, Input
        >>> inputs = Input((3,))
        >>> model = Model(inputs, Dense(2, name="only")(inputs))
        >>> Model.from_config(model.get_config()).layers[1].name
        'only'
        """
        if "input_layers" in config and _takes_graph(cls):
            return functional_from(Functional if cls is Model else cls, config, custom_objects)
        try:
            return cls(**config)
        except TypeError as error:
            raise TypeError(
                "Unable to revive model from config. When overriding the `get_config()` method, "
                "make sure that the returned config contains all items used as arguments in the "
                f"constructor to {cls}, which is the default behavior, or define "
                f"`from_config(cls, config)`. Received: config={reprlib.repr(config)}; the error "
                f"was: {error}"
            ) from error


class _OfGraph(type):
    """Makes models of users' classes instances of `Functional` if they are a graph."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return super().__instancecheck__(instance) or (
            cls is Functional and isinstance(instance, Model) and instance.is_functional
        )


class Functional(Model, metaclass=_OfGraph):
    """What `Model(inputs, outputs)` returns: the graph between symbolic tensors.

    >>> from ferrnn.layers import Dense, Input
    >>> inputs = Input((3,))
    >>> type(Model(inputs, Dense(1)(inputs))).__name__
    'Functional'
    """


# Classes of models that have no layers besides those of their graph.
_PLAIN: set[type] = {Functional}


def _functional(inputs: Any, outputs: Any, name: str | None = None, trainable: bool = True) -> None:
    """Only the signature of a model that is a graph."""


_FUNCTIONAL = inspect.signature(_functional)


def _takes_graph(kind: type) -> bool:
    """Whether the constructor of a class of models takes symbolic inputs and outputs."""
    known = inspect.signature(kind.__init__).parameters  # type: ignore[misc]
    any_place = any(each.kind is each.VAR_POSITIONAL for each in known.values())
    return any_place or {"inputs", "outputs"} <= set(known)


def _is_functional(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    return (
        len(args) >= 2
        or (len(args) == 1 and "outputs" in kwargs)
        or {"inputs", "outputs"} <= set(kwargs)
    )


def _is_text(leaf: Any) -> bool:
    return isinstance(leaf, np.ndarray) and leaf.dtype.kind in "USOT"


def _zeros_like(leaf: Any) -> Any:
    return np.zeros_like(leaf) if isinstance(leaf, np.ndarray) else leaf


def _tensors(shapes: Any) -> Any:
    return map_shapes(lambda shape: SymbolicTensor(shape, "float32"), shapes)
