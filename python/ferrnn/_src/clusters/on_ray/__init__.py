"""Models on clusters of Ray, which is needed from here on."""

try:
    import ray
    import ray.data  # noqa: F401
except ImportError as error:
    raise ImportError(
        "`ferrnn.ray` needs Ray, which the extra `ray` brings: pip install 'ferrnn[ray]'"
    ) from error
