"""Keras' datasets that would have to be downloaded, which are refused with an explanation."""

from __future__ import annotations

from typing import NoReturn


class Absent:
    """A stand-in for a dataset of Keras that is not part of the package.

    >>> Absent("mnist").load_data()  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    NotImplementedError: ferrnn downloads nothing, and `mnist` is not part of it. ...
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def load_data(self, *arguments: object, **options: object) -> NoReturn:
        """Raises NotImplementedError, which says what to do instead."""
        raise NotImplementedError(
            f"ferrnn downloads nothing, and `{self.name}` is not part of it. Download "
            f"the file that Keras uses (for most datasets, {self.name}.npz) yourself, and read it "
            "with `numpy.load`. The dataset that comes with ferrnn is "
            "`ferrnn.datasets.load_seattle_weather`"
        )

    def __repr__(self) -> str:
        return f"<dataset {self.name}, which is not part of ferrnn>"


boston_housing = Absent("boston_housing")
california_housing = Absent("california_housing")
cifar10 = Absent("cifar10")
cifar100 = Absent("cifar100")
fashion_mnist = Absent("fashion_mnist")
imdb = Absent("imdb")
mnist = Absent("mnist")
reuters = Absent("reuters")
