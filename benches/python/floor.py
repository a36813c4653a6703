"""The least time a case can take on this machine, from its measured FMA peak and bandwidths.

The floor is the larger of arithmetic and of reading the weights:

- flops / peak, units rounded up to vector lanes, 2 flops for each product and sum, three times
  that for training (forward, gradients of inputs and states, gradients of weights); and the
  activations, each taken as 40 flops (0.16 ns where the peak is 255 GFLOP/s);
- the bytes of the recurrent weights once a step (twice in training), and those of the kernel
  once, over the bandwidth of the cache that holds them.

Peak and bandwidths come from `machine.rs` beside this file, built by `rustc` and run while nothing
else runs: it shares no code with any contestant. Without `rustc` give `--peak`. Threads multiply
both; the bandwidth of main memory is not multiplied.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cases import ACTIVATIONS, Job

ACTIVATION_FLOPS = 40
_CACHE = Path("/sys/devices/system/cpu/cpu0/cache")


@dataclass(frozen=True)
class Machine:
    """What one core can do: float32 GFLOP/s, and GB/s with the size of the level in bytes."""

    peak: float
    levels: tuple[tuple[int, float], ...]  # smallest first; the last one is main memory

    def bandwidth(self, size: int, threads: int) -> float:
        """GB/s of `threads` cores reading `size` bytes again and again."""
        for level, (limit, rate) in enumerate(self.levels[:-1]):
            # The first two levels are each core's own, and cores share the weights out.
            if size <= limit * (threads if level < 2 else 1):
                return rate * threads
        return self.levels[-1][1] if self.levels else float("inf")

    def describe(self) -> str:
        """One line for the record."""
        names = ["L1", "L2", "L3", "memory"]
        rates = [f"{name} {rate:.0f}" for name, (_, rate) in zip(names, self.levels, strict=False)]
        return f"FMA peak {self.peak:.0f} GFLOP/s a core; reads in GB/s: {', '.join(rates) or '-'}"


def measure(peak: float | None) -> Machine:
    """This machine; with `peak` given, and no `rustc`, the peak alone."""
    rustc = shutil.which("rustc")
    if rustc is None:
        if peak is None:
            raise SystemExit("no rustc to measure the FMA peak with: give --peak GFLOPS")
        return Machine(peak, ())
    source = Path(__file__).with_name("machine.rs")
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "machine"
        flags = ["-C", "opt-level=3", "-C", "target-cpu=native"]
        subprocess.run([rustc, *flags, str(source), "-o", str(program)], check=True)
        printed = subprocess.run([str(program)], check=True, capture_output=True, text=True).stdout
    measured, *rates = (float(part) for part in printed.split())
    limits = [*_cache_sizes(), 1 << 62]
    return Machine(peak or measured, tuple(zip(limits, rates, strict=True)))


def _cache_sizes() -> list[int]:
    """Bytes of the first core's data caches, levels 1 to 3."""
    sizes = {1: 32 << 10, 2: 512 << 10, 3: 16 << 20}
    for index in sorted(_CACHE.glob("index*")):
        if (index / "type").read_text().strip() == "Instruction":
            continue
        level, size = int((index / "level").read_text()), (index / "size").read_text().strip()
        sizes[level] = int(size[:-1]) << {"K": 10, "M": 20}[size[-1]]
    return [sizes[level] for level in (1, 2, 3)]


def floor(job: Job, machine: Machine, threads: int) -> float:
    """The floor of a job, in seconds."""
    training = job.mode in ("backprop", "train")
    lanes = 16 if machine.peak > 160 else 8
    units = -(-job.units // lanes) * lanes
    steps = job.batch * job.time
    flops = 2.0 * steps * (job.features + job.units) * job.gates * units * (3 if training else 1)
    flops += ACTIVATION_FLOPS * steps * units * ACTIVATIONS[job.cell]
    arithmetic = flops / (machine.peak * 1e9 * threads)
    recurrent = 4 * job.units * job.gates * units
    kernel = 4 * job.features * job.gates * units
    held = recurrent + (kernel if job.time == 1 else 0)
    moved = recurrent * job.time * (2 if training else 1) + kernel
    return max(arithmetic, moved / (machine.bandwidth(held, threads) * 1e9))


def cpu_name() -> str:
    """The CPU as the system names it."""
    path = Path("/proc/cpuinfo")
    for line in path.read_text().splitlines() if path.exists() else []:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
