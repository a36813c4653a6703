"""Prints the SIMD levels this machine has, slowest first: `levels.py [--but-best]`."""

import subprocess
import sys

ASK = "from ferrnn.core.native import simd_level; print(simd_level())"
LADDER = ["portable", "avx2", "avx512"]


def main() -> None:
    """A level is present when the best one is at or above it on the ladder."""
    best = subprocess.run(
        [sys.executable, "-c", ASK], check=True, capture_output=True, text=True
    ).stdout.strip()
    levels = LADDER[: LADDER.index(best) + 1] if best in LADDER else ["portable", best]
    print(*(levels[:-1] if "--but-best" in sys.argv[1:] else levels))


if __name__ == "__main__":
    main()
