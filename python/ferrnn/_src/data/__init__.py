"""Arrays made ready for training: windows, padding, labels, files."""
