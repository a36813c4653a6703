"""Models and weights of other frameworks, and ours for them."""
