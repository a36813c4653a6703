"""Data that comes with the package: small, real, with source and licence."""

from ferrnn._src.datasets.absent import (
    boston_housing,
    california_housing,
    cifar10,
    cifar100,
    fashion_mnist,
    imdb,
    mnist,
    reuters,
)
from ferrnn._src.datasets.seattle_weather import DailyWeather, load_seattle_weather

__all__ = [
    "DailyWeather",
    "boston_housing",
    "california_housing",
    "cifar10",
    "cifar100",
    "fashion_mnist",
    "imdb",
    "load_seattle_weather",
    "mnist",
    "reuters",
]
