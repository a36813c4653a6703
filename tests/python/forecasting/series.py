"""Small series for tests that are quick to learn."""

import numpy as np


def days(count, first="2023-01-01"):
    return np.datetime64(first, "D") + np.arange(count)


def weekly(random, count, phase=0):
    """A season of seven days, a slope, and noise."""
    at = np.arange(count) + phase
    return 20 + 0.01 * at + 3 * np.sin(2 * np.pi * at / 7) + random.normal(0, 0.5, count)


def long_table(random, lengths=(61, 83, 47)):
    """Columns of several daily series of unequal length, with two covariates each."""
    parts = []
    for number, length in enumerate(lengths):
        price = random.normal(size=length)
        parts.append(
            {
                "unique_id": np.full(length, f"s{number}"),
                "ds": days(length, f"2023-01-0{number + 1}"),
                "y": weekly(random, length, number) + price,
                "price": price,
                "rain": random.normal(size=length),
                "kind": np.full(length, ("a", "b")[number % 2]),
            }
        )
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def rows_of(table, chosen):
    return {name: each[chosen] for name, each in table.items()}


QUICK = {"units": 4, "epochs": 2, "dropout": 0.0, "context": 14}
