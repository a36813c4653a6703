"""The version of the package, as the build writes it into the wheel; a test compares the two."""

__version__ = "0.1.0"
