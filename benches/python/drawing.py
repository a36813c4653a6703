"""How pictures of measurements look, and how they are saved: small, and the same each time."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

mpl.rcParams |= {
    "svg.fonttype": "none",  # text stays text: small files, readable in a diff
    "svg.hashsalt": "ferrnn",
    "font.family": "sans-serif",
    "font.sans-serif": ["Helvetica", "Arial", "DejaVu Sans", "sans-serif"],
    "font.size": 8,
}


def save(figure: Figure, path: Path) -> None:
    """Writes an SVG or PNG without the date, so that equal figures give equal files."""
    metadata = {"Date": None} if path.suffix == ".svg" else {}
    figure.savefig(path, metadata=metadata, dpi=150)
