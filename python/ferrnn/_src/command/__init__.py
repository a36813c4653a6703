"""The command line: `ferrnn bench`, `ferrnn config`."""
