"""Prints the SIMD levels this machine has, from the portable one to the best."""

import subprocess
import sys

ASK = "from ferrnn.core.native import simd_level; print(simd_level())"
LADDER = ["portable", "avx2", "avx512"]


def main() -> None:
    """A level is present when the best one is at or above it on the ladder."""
    best = subprocess.run(
        [sys.executable, "-c", ASK], check=True, capture_output=True, text=True
    ).stdout.strip()
    above = LADDER.index(best) + 1 if best in LADDER else 1
    print(*LADDER[:above], *([] if best in LADDER else [best]))


if __name__ == "__main__":
    main()
