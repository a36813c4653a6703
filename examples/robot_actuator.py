"""Runs the networks of walking robots at their control rate: an actuator, and a policy.

An actuator network predicts the torque of a motor from the error of its position and its velocity;
simulators use it in place of a formula. Here twelve of them, one for each joint of a robot, drive
joints with inertia along a sine: one call of a stream per step for all twelve. With `--policy`, a
recurrent policy reads random observations instead.

    python examples/robot_actuator.py anydrive_v3_lstm.pt
    python examples/robot_actuator.py motion_g1.pt --policy

The files are TorchScript, from github.com/leggedrobotics/legged_gym and
github.com/unitreerobotics/unitree_rl_gym; PyTorch is not needed. Prints how much of the millisecond
available at 1 kHz a step takes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import ferrnn as keras

JOINTS, RATE = 12, 1000
# `in_scale` and `out_scale` of anydrive_v3_lstm.pt, which its code multiplies by.
IN_SCALE, OUT_SCALE = np.array([2.0, 0.25], "float32"), 20.0
INERTIA, DAMPING = 0.1, 1.0  # kg m^2, N m s

Array = np.ndarray[Any, np.dtype[Any]]


def track(network: keras.Sequential, steps: int) -> tuple[float, Array]:
    """The joints' mean error in rad, once they move, and the seconds of each call."""
    stream = network.stream(streams=JOINTS)
    position, velocity = np.zeros(JOINTS), np.zeros(JOINTS)
    amplitude = np.linspace(0.1, 0.4, JOINTS)
    inputs = np.empty((JOINTS, 2), "float32")
    torque = np.empty((JOINTS, 1), "float32")
    seconds, errors = np.empty(steps), np.empty(steps)
    for step in range(steps):
        target = amplitude * np.sin(2 * np.pi * 0.5 * step / RATE)
        inputs[:, 0], inputs[:, 1] = target - position, velocity
        start = time.perf_counter()
        stream(inputs * IN_SCALE, out=torque)
        seconds[step] = time.perf_counter() - start
        velocity += (OUT_SCALE * torque[:, 0] - DAMPING * velocity) / INERTIA / RATE
        position += velocity / RATE
        errors[step] = np.abs(target - position).mean()
    return float(errors[steps // 2 :].mean()), seconds


def follow(policy: keras.Sequential, steps: int) -> Array:
    """The seconds of each call of a policy."""
    stream = policy.stream()
    observations = np.random.default_rng(1).normal(size=(steps, stream.features)).astype("float32")
    actions = np.empty(stream.units, "float32")
    seconds = np.empty(steps)
    for step, observation in enumerate(observations):
        start = time.perf_counter()
        stream(observation, out=actions)
        seconds[step] = time.perf_counter() - start
    return seconds


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Runs the robot, and returns the measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--policy", action="store_true", help="the model is a policy")
    parser.add_argument("--steps", type=int, default=4 * RATE)
    options = parser.parse_args(arguments)
    measured: dict[str, float] = {}
    if options.policy:
        policy = keras.from_torch(options.model, layers=["memory", "actor"])
        seconds = follow(policy, options.steps)
    else:
        network = keras.from_torch(options.model, layers=["lstm", "linear"])
        measured["error"], seconds = track(network, options.steps)
        print(
            f"{JOINTS} joints follow their sines with a mean error of {measured['error']:.3f} rad"
        )
    for name, share in (("median", 0.5), ("99 %", 0.99)):
        measured[name] = float(np.quantile(seconds, share))
        print(f"{name} of the steps: {measured[name] * 1e6:.1f} us, of {1e6 / RATE:.0f} us")
    return measured


if __name__ == "__main__":
    main()
