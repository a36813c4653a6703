"""Models on clusters: what is done there, whichever system runs the processes."""
