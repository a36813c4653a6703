"""Keras' dtype policies, of which there are two: float32 and float64 throughout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ferrnn._src.configs.config import floatx, set_floatx

_KNOWN = ("float32", "float64")


class DTypePolicy:
    """The dtype of a layer's computations and weights: "float32" or "float64".

    >>> policy = DTypePolicy("float64")
    >>> policy.compute_dtype, policy.variable_dtype, policy == DTypePolicy("float64")
    ('float64', 'float64', True)
    """

    quantization_mode = None

    def __init__(self, name: str | None = None) -> None:
        self._name = checked_policy_name(floatx() if name is None else name)

    @property
    def name(self) -> str:
        """The name, which is that of the dtype."""
        return self._name

    @property
    def compute_dtype(self) -> str:
        """The dtype of the arithmetic."""
        return self._name

    @property
    def variable_dtype(self) -> str:
        """The dtype of the weights."""
        return self._name

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"name": self._name}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> DTypePolicy:
        """The policy of a configuration."""
        return cls(**config)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DTypePolicy) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self._name)

    def __repr__(self) -> str:
        return f'<DTypePolicy "{self._name}">'


def checked_policy_name(name: object) -> str:
    """The name of a policy of ferrnn; refuses Keras' other policies with the reason.

    >>> checked_policy_name("float32")
    'float32'
    """
    if name in _KNOWN:
        return str(name)
    if not isinstance(name, str):
        raise TypeError(f"'name' must be a string, such as 'float32'. Received: name={name!r}")
    raise ValueError(
        f"Cannot convert '{name}' to a policy of ferrnn: it must be 'float32' or 'float64', as "
        "ferrnn computes in no lower or mixed precision (`layer.inference_precision` rounds "
        "weights for inference)"
    )


def dtype_policy() -> DTypePolicy:
    """The policy of layers made from now on.

    >>> dtype_policy()
    <DTypePolicy "float32">
    """
    return DTypePolicy(floatx())


def set_dtype_policy(policy: object) -> None:
    """Sets the dtype of layers made from now on, as `set_floatx` does.

    >>> set_dtype_policy("float32")
    """
    if not isinstance(policy, str | Mapping | DTypePolicy):
        raise ValueError(  # noqa: TRY004 - Keras' error
            "Invalid `policy` argument. Expected the name of a policy, such as 'float32', or a "
            f"DTypePolicy. Received: policy={policy!r} (of type {type(policy)})"
        )
    set_floatx(get(policy).name)


def get(identifier: Any) -> DTypePolicy:
    """The policy for a name, a configuration, a policy or None (the default).

    >>> get("float64")
    <DTypePolicy "float64">
    """
    if identifier is None:
        return dtype_policy()
    if isinstance(identifier, Mapping):
        return deserialize(identifier)
    name = getattr(identifier, "name", identifier)
    if not isinstance(name, str):
        raise ValueError(  # noqa: TRY004 - Keras' error
            "Cannot interpret `dtype` argument. Expected a string or an instance of DTypePolicy. "
            f"Received: dtype={identifier!r}"
        )
    return DTypePolicy(name)


def serialize(policy: DTypePolicy) -> dict[str, Any]:
    """The configuration of a policy, as Keras writes it.

    >>> serialize(DTypePolicy("float32"))["config"]
    {'name': 'float32'}
    """
    return {
        "module": "keras",
        "class_name": "DTypePolicy",
        "config": policy.get_config(),
        "registered_name": None,
    }


def deserialize(
    config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
) -> DTypePolicy:
    """The policy of a configuration; `custom_objects` has no effect.

    >>> deserialize(serialize(DTypePolicy("float64")))
    <DTypePolicy "float64">
    """
    settings = config.get("config")
    if not isinstance(settings, Mapping) or "name" not in settings:
        raise ValueError(
            "`config` must have the name of a policy under `config` and `name`, received "
            f"{dict(config)!r}"
        )
    return DTypePolicy(settings["name"])
