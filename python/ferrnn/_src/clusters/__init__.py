"""Models on clusters: what is done there, whoever's processes do it."""
