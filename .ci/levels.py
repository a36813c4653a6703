"""Prints the SIMD levels this machine has, slowest first: `levels.py [--but-best]`."""

import subprocess
import sys

ASK = "from ferrnn._src.native import simd_level; print(simd_level())"
LADDERS = [["portable", "avx2", "avx512"], ["portable", "neon"]]


def main() -> None:
    """A level is present when the best one is at or above it on the ladder."""
    best = subprocess.run(
        [sys.executable, "-c", ASK], check=True, capture_output=True, text=True
    ).stdout.strip()
    ladder = next(ladder for ladder in LADDERS if best in ladder)
    levels = ladder[: ladder.index(best) + 1]
    print(*(levels[:-1] if "--but-best" in sys.argv[1:] else levels))


if __name__ == "__main__":
    main()
