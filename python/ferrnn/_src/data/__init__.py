"""Preparation of data for training: windows, padding, labels, files."""
