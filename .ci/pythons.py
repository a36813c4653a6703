"""Prints the oldest or the newest supported CPython on this machine: `pythons.py oldest`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

OLDEST = (3, 10)
ASK = """
import ensurepip, platform, sys, sysconfig, venv
assert platform.python_implementation() == "CPython"
assert not sysconfig.get_config_var("Py_GIL_DISABLED")
assert sys.version_info.releaselevel == "final"
print(*sys.version_info[:3])
"""


def candidates() -> list[str]:
    """Interpreters on PATH, those that pyenv and uv keep, and the running one."""
    names = [f"python3.{minor}" for minor in range(OLDEST[1], 30)]
    found = [path for name in names if (path := shutil.which(name))]
    kept = [
        Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions",
        Path(os.environ.get("UV_PYTHON_INSTALL_DIR", Path.home() / ".local/share/uv/python")),
    ]
    for folder in kept:
        found += [str(path) for path in sorted(folder.glob("*/bin/python3"))]
    return [*found, sys.executable]


def version(python: str) -> tuple[int, ...] | None:
    """The interpreter's version, or nothing if it cannot carry the tests."""
    answer = subprocess.run([python, "-c", ASK], capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        return None
    return tuple(int(part) for part in answer.stdout.split())


def main() -> None:
    """Sorts what works by version."""
    versions = {python: version(python) for python in candidates()}
    fitting = {python: v for python, v in versions.items() if v is not None and v >= OLDEST}
    pick = {"oldest": min, "newest": max}[sys.argv[1]]
    print(pick(fitting, key=lambda python: fitting[python]))


if __name__ == "__main__":
    main()
