"""What the package says about its machine."""

import os
import subprocess
import sys

import numpy as np
import pytest

import ferrnn
from ferrnn._src import machine
from ferrnn._src.native import limits


def config_with(**environment: str) -> str:
    """What `show_config` prints in a process of its own."""
    command = [sys.executable, "-c", "import ferrnn; ferrnn.show_config()"]
    return subprocess.run(
        command, check=True, capture_output=True, text=True, env=os.environ | environment
    ).stdout


def test_dictionaries_say_what_is_in_use():
    facts = ferrnn.show_config(mode="dicts")
    assert facts["SIMD"]["level"] == ferrnn.simd_level()
    assert facts["SIMD"]["level"] in facts["SIMD"]["found"]
    assert facts["SIMD"]["found"][0] == "portable"
    assert facts["Threads"]["count"] == ferrnn.num_threads()
    assert facts["Versions"]["ferrnn"] == ferrnn.__version__
    assert facts["Versions"]["NumPy"] == np.__version__
    assert facts["Versions"]["Python"].startswith(sys.version.split()[0])
    sizes = [facts["Caches"][level] for level in ("L1d", "L2", "L3")]
    assert sizes == sorted(sizes)
    assert sizes[0] >= 4 << 10


def test_text_has_every_fact(capsys):
    assert ferrnn.show_config() is None
    printed = capsys.readouterr().out
    facts = ferrnn.show_config(mode="dicts")
    for group in ("SIMD", "Threads", "CPU", "Versions"):
        assert f"{group}:" in printed
        for name, value in facts[group].items():
            text = ", ".join(value) if isinstance(value, list) else value
            assert f"  {name}: {text}\n" in printed
    assert "  L1d: " in printed


def test_the_source_of_the_threads_is_named():
    before = ferrnn.num_threads()
    ferrnn.set_num_threads(before)
    facts = ferrnn.show_config(mode="dicts")
    assert facts["Threads"] == {"count": before, "source": "set_num_threads"}
    assert "source: CPUs of this process\n" in config_with(FERRNN_NUM_THREADS="")


def test_what_the_environment_chooses_is_named():
    printed = config_with(FERRNN_SIMD="portable", FERRNN_NUM_THREADS="3")
    assert "level: portable\n  source: FERRNN_SIMD\n" in printed
    assert "count: 3\n  source: FERRNN_NUM_THREADS\n" in printed
    assert "source: the fastest of this CPU\n" in config_with(FERRNN_SIMD="")


def test_another_mode_is_refused():
    with pytest.raises(ValueError, match=r"`mode` must be 'stdout' or 'dicts', received 'yaml'"):
        ferrnn.show_config(mode="yaml")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("processor\t: 0\nmodel name\t: AMD EPYC\n", "AMD EPYC"),
        ("processor\t: 0\nBogoMIPS\t: 50\nModel\t\t: Raspberry Pi 5\n", "Raspberry Pi 5"),
        (
            "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\nCPU revision\t: 1\n",
            "implementer 0x41, part 0xd0c",
        ),
    ],
)
def test_the_cpu_is_named_as_linux_names_it(monkeypatch, tmp_path, text, name):
    path = tmp_path / "cpuinfo"
    path.write_text(text)
    monkeypatch.setattr(machine, "_CPU_INFO", path)
    assert machine.cpu_name() == name


def test_a_cpu_without_a_name_has_one(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "_CPU_INFO", tmp_path / "nothing")
    assert machine.cpu_name()


@pytest.mark.parametrize(
    ("count", "text"),
    [(32 << 10, "32 KiB"), (1 << 20, "1 MiB"), (1280 << 10, "1280 KiB"), (7, "7 B")],
)
def test_sizes_are_whole(count, text):
    assert machine._bytes(count) == text


def test_limits_are_measured():
    peak, reads = limits(2, [16 << 10, 8 << 20])
    assert peak > 1e8
    assert len(reads) == 2
    assert min(reads) > 1e8
