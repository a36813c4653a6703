"""`python -m ferrnn`: the command line."""

import sys

from ferrnn._src.command.arguments import main

if __name__ == "__main__":
    sys.exit(main())
