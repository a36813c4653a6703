"""Data that comes with the package: small, real, with source and licence."""

from ferrnn.datasets.seattle_weather import DailyWeather, load_seattle_weather

__all__ = ["DailyWeather", "load_seattle_weather"]
