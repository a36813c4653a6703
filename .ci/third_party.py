"""Writes THIRD-PARTY-LICENSES.txt: the licences of the crates that the wheel's engine contains.

`third_party.py` writes the file, `third_party.py --check` fails if it is not up to date.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "THIRD-PARTY-LICENSES.txt"
HEAD = """\
The compiled engine of ferrnn contains the Rust standard library (MIT OR Apache-2.0,
https://github.com/rust-lang/rust) and the crates below. Where a crate offers a choice, ferrnn uses
it under the MIT licence. Written by .ci/third_party.py.
"""
RULE = "-" * 100


def metadata() -> dict[str, Any]:
    """What cargo knows of the locked dependencies of the wheel."""
    command = ["cargo", "metadata", "--format-version=1", "--locked", "--features=python,abi3"]
    answer = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(answer.stdout)


def linked(known: dict[str, Any]) -> list[dict[str, Any]]:
    """The crates that end up in the library: no build scripts' crates, no macros, no tests'."""
    packages = {package["id"]: package for package in known["packages"]}
    edges = {node["id"]: node["deps"] for node in known["resolve"]["nodes"]}
    root = known["resolve"]["root"]
    seen, waiting = {root}, [root]
    while waiting:
        for edge in edges[waiting.pop()]:
            package = packages[edge["pkg"]]
            macro = any("proc-macro" in target["kind"] for target in package["targets"])
            normal = any(kind["kind"] is None for kind in edge["dep_kinds"])
            if normal and not macro and edge["pkg"] not in seen:
                seen.add(edge["pkg"])
                waiting.append(edge["pkg"])
    crates = [packages[name] for name in seen - {root}]
    return sorted(crates, key=lambda crate: (crate["name"], crate["version"]))


def texts(crate: dict[str, Any]) -> list[str]:
    """The crate's licence files: the MIT one if there is one, else all of them."""
    folder = Path(crate["manifest_path"]).parent
    files = sorted(
        path
        for path in folder.iterdir()
        if path.is_file() and path.name.upper().startswith(("LICENSE", "LICENCE", "COPYING"))
    )
    mit = [path for path in files if "MIT" in path.name.upper()]
    if not files:
        raise SystemExit(f"{crate['name']} {crate['version']} ships no licence file")
    return [path.read_text(encoding="utf-8").strip() for path in mit or files]


def document() -> str:
    """The whole file."""
    parts = [HEAD]
    for crate in linked(metadata()):
        title = f"{crate['name']} {crate['version']} ({crate['license']})"
        parts += [RULE, title, crate["repository"] or "", "", *texts(crate), ""]
    lines = "\n".join(parts).splitlines()
    return "\n".join(line.rstrip() for line in lines) + "\n"


def main() -> None:
    """Writes or compares."""
    wanted = document()
    if "--check" not in sys.argv[1:]:
        TARGET.write_text(wanted, encoding="utf-8")
    elif not TARGET.exists() or TARGET.read_text(encoding="utf-8") != wanted:
        raise SystemExit(f"{TARGET.name} is out of date: run python .ci/third_party.py")


if __name__ == "__main__":
    main()
