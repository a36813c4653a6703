"""Models and weights from other frameworks, and for them."""
