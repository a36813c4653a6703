"""Recurrent networks as estimators of scikit-learn, which is needed from here on."""

try:
    import sklearn  # noqa: F401
except ImportError as error:
    raise ImportError(
        "`ferrnn.sklearn` needs scikit-learn: install the extra: pip install 'ferrnn[sklearn]'"
    ) from error
