"""The optimizers, a module for each family: loaded when used."""
