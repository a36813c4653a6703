"""Models on Ray clusters; importing this requires Ray."""

try:
    import ray
    import ray.data  # noqa: F401
except ImportError as error:
    raise ImportError(
        "`ferrnn.ray` requires Ray, which the extra `ray` installs: pip install 'ferrnn[ray]'"
    ) from error
