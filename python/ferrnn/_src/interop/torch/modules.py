"""The modules of a PyTorch source, with names, tensors and settings.

The source is a live module, the contents of a file, or a dict of tensors; all become a tree.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ferrnn._src.interop.torch.pickles import Inert
from ferrnn._src.tree.types import Array

# The keys under which checkpoints keep the tensors.
_NESTED = ("state_dict", "model_state_dict", "model", "module", "net", "network")
_MOST_MODULES = 100_000
_MANGLED = re.compile(r"\.___torch_mangle_\d+")


@dataclass
class Module:
    """A module: its class if known, its own tensors and settings, and the modules inside."""

    name: str
    kind: str = ""
    tensors: dict[str, Array] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    inside: dict[str, Module] = field(default_factory=dict)

    def walk(self) -> Iterator[Module]:
        """The module and those inside it, at any depth, in order."""
        yield self
        for module in self.inside.values():
            yield from module.walk()

    def child(self, name: str) -> Module:
        """The module inside under this name, made if there is none."""
        full = f"{self.name}.{name}" if self.name else name
        return self.inside.setdefault(name, Module(full))

    def described(self) -> str:
        """One line with the name, the class if it is known, and the tensors' shapes."""
        shapes = ", ".join(f"{key} {tuple(value.shape)}" for key, value in self.tensors.items())
        name, kind = self.name or "(the source itself)", self.kind or "module"
        return f"{name}: {kind} {f'with {shapes}' if shapes else 'without tensors'}"


def module_tree(source: Any) -> Module:
    """The modules of a source.

    Raises:
        ValueError: It has no named tensors.
    """
    root = Module("")
    for key in _NESTED:
        part = source.get(key) if isinstance(source, Mapping) else None
        if isinstance(part, Mapping | Inert) or _is_live(part):
            return module_tree(part)
    attributes = _attributes(source)
    if attributes is not None:
        _fill(root, source, attributes, [0])
    elif isinstance(source, Mapping):
        for name, value in source.items():
            tensor = _array(value)
            if tensor is not None and isinstance(name, str):
                *path, last = name.split(".")
                module = root
                for part in path:
                    module = module.child(part)
                module.tensors[last] = tensor
    if not any(module.tensors for module in root.walk()):
        raise ValueError(
            "`source` has no named tensors: expected a module, a state dict, or a checkpoint with "
            f"one under one of {', '.join(_NESTED)}; received a {type(source).__name__}"
            + (f" with the keys {list(source)[:10]}" if isinstance(source, Mapping) else "")
        )
    return root


def _fill(module: Module, source: Any, attributes: Mapping[Any, Any], count: list[int]) -> None:
    """Reads tensors, settings and inner modules from the attributes of a module."""
    count[0] += 1
    if count[0] > _MOST_MODULES or module.name.count(".") > 50:
        raise ValueError("the modules of `source` must not contain each other")
    module.kind = _kind(source)
    groups = [attributes.get(key) for key in ("_parameters", "_buffers", "_modules")]
    own = [group for group in groups if isinstance(group, Mapping)]
    for key, value in [pair for group in (*own, attributes) for pair in group.items()]:
        if not isinstance(key, str) or key in module.tensors or key in module.inside:
            continue
        tensor = _array(value)
        inner = _attributes(value)
        if tensor is not None:
            module.tensors[key] = tensor
        elif inner is not None:
            _fill(module.child(key), value, inner, count)
        elif isinstance(value, bool | int | float | str) or value is None:
            module.settings[key] = value
        elif isinstance(value, tuple | list) and all(isinstance(item, int) for item in value):
            module.settings[key] = tuple(value)


def _kind(source: Any) -> str:
    """The name of PyTorch's class, without a prefix from scripting, or "" for other classes."""
    full = (
        _MANGLED.sub("", source.kind).removeprefix("__torch__.")
        if isinstance(source, Inert)
        else f"{type(source).__module__}.{type(source).__name__}"
    )
    return full.rpartition(".")[2] if full.startswith("torch.nn.modules.") else ""


def _attributes(source: Any) -> Mapping[Any, Any] | None:
    """The attributes of a module, live or from a file, or None for anything else."""
    if isinstance(source, Inert):
        return source.state if isinstance(source.state, Mapping) else {}
    return vars(source) if _is_live(source) else None


def _is_live(source: Any) -> bool:
    """Whether it is a PyTorch module, without importing PyTorch."""
    return hasattr(source, "state_dict") and isinstance(
        getattr(source, "__dict__", {}).get("_parameters"), dict
    )


def _array(value: Any) -> Array | None:
    """A tensor as an array, with float16 and bfloat16 as float32, or None for anything else."""
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        value = value.detach().cpu()
        if str(value.dtype) in {"torch.bfloat16", "torch.float16"}:
            value = value.float()
        value = value.numpy()
    if not isinstance(value, np.ndarray):
        return None
    return value.astype(np.float32) if value.dtype == np.float16 else value
