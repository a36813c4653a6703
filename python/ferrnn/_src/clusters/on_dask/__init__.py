"""Models on clusters of Dask, which is needed from here on."""

try:
    import dask.array
    import dask.dataframe  # noqa: F401
    import distributed  # noqa: F401
except ImportError as error:
    raise ImportError(
        "`ferrnn.dask` needs Dask, which the extra `dask` brings: pip install 'ferrnn[dask]'"
    ) from error
