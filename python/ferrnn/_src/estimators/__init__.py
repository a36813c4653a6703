"""Recurrent networks as scikit-learn estimators; importing them requires scikit-learn."""

try:
    import sklearn  # noqa: F401
except ImportError as error:
    raise ImportError(
        "`ferrnn.sklearn` requires scikit-learn, which the extra `sklearn` installs: pip install "
        "'ferrnn[sklearn]'"
    ) from error
