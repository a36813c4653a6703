"""Checks of gradients, for authors of cells and layers."""

from ferrnn._src.testing import check_vjp as check_vjp
