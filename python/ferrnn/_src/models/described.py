"""The methods of `Model` for files, JSON, pickles and summaries."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ferrnn._src.configs.notices import warn
from ferrnn._src.configs.objects import Configured
from ferrnn._src.configs.plain import as_json
from ferrnn._src.faces import later, public
from ferrnn._src.models.state_tree import set_state_tree, state_tree
from ferrnn._src.training.trainer import Trainer

if TYPE_CHECKING:
    from ferrnn._src.models import compiling, files, summary
else:
    compiling = later("ferrnn._src.models.compiling")
    files = later("ferrnn._src.models.files")
    summary = later("ferrnn._src.models.summary")


class Described(Configured):
    """The methods of `Model` that write files and print."""

    _graph: Any

    def __getstate__(self) -> dict[str, Any]:
        # A graph copies its nodes in their order; a plan belongs to the engine and is made anew.
        state = {"_graph": self._graph, **vars(self)}
        state.pop("_inference", None)
        state.pop("_expanded", None)
        return state

    def save(
        self,
        filepath: str | os.PathLike[str],
        overwrite: bool = True,
        zipped: bool | None = None,
        include_optimizer: bool = True,
        **options: Any,
    ) -> None:
        """Writes the model to a file: architecture, weights, optimizer.

        The end of the name says in which format: `.keras`, which Keras reads as well and which
        needs h5py (the extra `files`), or `.safetensors`, ferrnn's own. `options` are those of
        `saving.save_model`.
        """
        public("saving", "save_model")(
            self, filepath, overwrite, zipped, include_optimizer, **options
        )

    def export(
        self,
        filepath: str | os.PathLike[str],
        format: str = "onnx",  # noqa: A002 - Keras' name
        **options: Any,
    ) -> None:
        """Writes the model to an ONNX file, for inference elsewhere; see `ferrnn.to_onnx`.

        `states=True` makes the states of recurrent layers inputs and outputs.
        """
        public("saving", "export_model")(self, filepath, format, **options)

    def save_weights(
        self,
        filepath: str | os.PathLike[str],
        overwrite: bool = True,
        max_shard_size: float | None = None,
        objects_to_skip: Sequence[Any] = (),
    ) -> None:
        """Writes the weights, and what the optimizer remembers, to a `.weights.h5` file.

        Layers in `objects_to_skip`, and what they hold, are left out. With `max_shard_size`, in
        gigabytes, the name ends in `.weights.json`, and the weights are in files beside it.
        """
        files.save_weights(self, filepath, overwrite, max_shard_size, objects_to_skip)

    def load_weights(
        self, filepath: str | os.PathLike[str], skip_mismatch: bool = False, **options: Any
    ) -> None:
        """Reads the weights of a `.weights.h5` or `.keras` file, or of a legacy `.h5` file.

        With `skip_mismatch` layers that do not fit are left as they are, with a warning. In legacy
        files layers are found by their places among those with weights, with `by_name=True` by
        their names; `backend="theano"` says where Keras 1 wrote it. Of `.weights.h5` files,
        layers in `objects_to_skip` are left as they are.
        """
        known = ("by_name", "backend", "objects_to_skip")
        unknown = {key: options[key] for key in options if key not in known}
        if unknown:
            raise ValueError(f"Invalid keyword arguments of `load_weights`: {unknown}")
        public("saving", "load_weights")(self, filepath, skip_mismatch, **options)

    def get_compile_config(self) -> dict[str, Any]:
        """The arguments of `compile` as plain data; a class with its own `compile` may add some."""
        return compiling.compile_config(self)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles the model as `get_compile_config` said.

        A class that overrides `compile` must override this too, or it is left uncompiled.

        >>> import ferrnn as keras
        >>> model, again = (keras.Sequential([keras.layers.Dense(1)]) for _ in range(2))
        >>> model.compile("adam", loss="mse")
        >>> again.compile_from_config(model.get_compile_config())
        >>> type(again.optimizer).__name__, again.loss
        ('Adam', 'mse')
        """
        kind: Any = type(self)
        if kind.compile is not Trainer.compile:
            warn(
                "`compile()` was not called as part of model loading because the model's "
                "`compile()` method is custom. All subclassed Models that have `compile()` "
                "overridden should also override `get_compile_config()` and "
                "`compile_from_config(config)`. Alternatively, you can call `compile()` manually "
                "after loading."
            )
            return
        model: Any = self
        model.compile(**compiling.compile_arguments(config))
        if model.optimizer is not None and model.trainable_weights:
            model.optimizer.build(model.trainable_weights)

    def get_state_tree(self, value_format: str = "backend_tensor") -> dict[str, Any]:
        """The variables of the model, its optimizer and its metrics, as arrays in nested dicts.

        The keys are the kinds of variables, then the parts of their paths. `value_format` is
        "backend_tensor" or "numpy_array", which are the same here.
        """
        return state_tree(self, value_format)

    def set_state_tree(self, state_tree: dict[str, Any]) -> None:
        """Sets the variables that a tree such as that of `get_state_tree` names.

        >>> import ferrnn as keras
        >>> stack = [keras.Input((2,)), keras.layers.Dense(1, name="last")]
        >>> model = keras.Sequential(stack, name="own")
        >>> bias = {"own": {"last": {"bias": [0.5]}}}
        >>> model.set_state_tree({"trainable_variables": bias})
        >>> model.layers[0].bias.numpy().tolist()
        [0.5]
        """
        set_state_tree(self, state_tree)

    def to_json(self, **options: Any) -> str:
        """The configuration of the model and its class as JSON; `options` are those of `json`."""
        return as_json(self.as_data(), **options)

    def _repr_html_(self) -> str:
        """The summary, as HTML for notebooks."""
        return summary.summary_html(self)

    def summary(
        self,
        line_length: int | None = None,
        positions: Sequence[float] | None = None,
        print_fn: Callable[[str], Any] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Sequence[str] | None = None,
    ) -> None:
        """Prints layers, output shapes, numbers of parameters and what they are connected to."""
        summary.print_summary(
            self,
            print_fn,
            line_length=line_length,
            positions=positions,
            expand_nested=expand_nested,
            show_trainable=show_trainable,
            layer_range=layer_range,
        )
