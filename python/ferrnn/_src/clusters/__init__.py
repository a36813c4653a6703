"""Models on clusters, whichever system runs the processes."""
