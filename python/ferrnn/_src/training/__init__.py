"""Losses, metrics, optimizers, callbacks and the loop that uses them, on any model."""
