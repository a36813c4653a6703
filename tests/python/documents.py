"""Finds the Python code in Markdown."""

import re
from pathlib import Path

FENCE = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def python_blocks(path: Path) -> list[str]:
    """The blocks of a document, each padded so that errors name the document's lines."""
    text = path.read_text(encoding="utf-8")
    return [
        "\n" * text.count("\n", 0, match.start(1)) + match.group(1)
        for match in FENCE.finditer(text)
    ]
