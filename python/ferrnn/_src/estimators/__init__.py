"""Recurrent networks as estimators of scikit-learn, which is needed from here on."""

try:
    import sklearn  # noqa: F401
except ImportError as error:
    raise ImportError(
        "`ferrnn.sklearn` needs scikit-learn, which the extra `sklearn` brings: "
        "pip install 'ferrnn[sklearn]'"
    ) from error
