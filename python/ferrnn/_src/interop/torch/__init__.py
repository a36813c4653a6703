"""Files and modules of PyTorch."""
