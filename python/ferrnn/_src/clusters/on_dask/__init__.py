"""Models on Dask clusters; importing this requires Dask."""

try:
    import dask.array
    import dask.dataframe  # noqa: F401
    import distributed  # noqa: F401
except ImportError as error:
    raise ImportError(
        "`ferrnn.dask` requires Dask, which the extra `dask` installs: pip install 'ferrnn[dask]'"
    ) from error
