"""The model files that other frameworks wrote, and what these computed with them."""

from pathlib import Path

import golden

DATA = Path(__file__).parent / "data"
MAKERS = tuple(sorted(path.stem for path in DATA.glob("*.npz")))


def names(maker: str) -> list[str]:
    """The names of all cases that `make_<maker>.py` recorded."""
    return golden.names(f"../interop/data/{maker}")


def load(maker: str, name: str) -> golden.Case:
    """One case: `about["file"]` lies in `DATA`; `input_0`..., `output_0`... are its arrays."""
    return golden.load(f"../interop/data/{maker}", name)
