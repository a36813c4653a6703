"""Many small cases in one test: a test of its own costs pytest more time than most of them take."""

import functools
import inspect
import os

import pytest

from ferrnn._src.configs import config
from ferrnn.utils import clear_session, set_random_seed


def fresh():
    """The names, seeds and settings that every test and every case starts from."""
    clear_session()
    set_random_seed(1)
    config.set_floatx("float32")
    config.set_epsilon(1e-7)


def each_case(names, cases, ids=None):
    """Runs all cases, written as for `pytest.mark.parametrize`, and names those that fail.

    The first failure is shown whole. `CASES=text` runs the cases with that text in their names.
    """
    names = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
    ids = ids if ids is None or callable(ids) else list(ids)
    named = [named_case(names, case, at, ids) for at, case in enumerate(cases)]
    assert named, f"no cases of {names}"

    def fold(test):
        @functools.wraps(test)
        def all_cases(*args, **fixtures):
            failed = {}
            precision = config.floatx()  # as a fixture set it
            for name, values in named:
                if os.environ.get("CASES", "") not in name:
                    continue
                fresh()
                config.set_floatx(precision)
                try:
                    test(*args, **fixtures, **values)
                except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001 - told below
                    failed[name] = error
            if failed:
                told = [
                    f"[{name}] {type(error).__name__}: {error}" for name, error in failed.items()
                ]
                summary = f"{len(failed)} of {len(named)} cases fail:"
                raise AssertionError("\n".join([summary, *told])) from next(iter(failed.values()))

        signature = inspect.signature(test)
        rest = [kept for name, kept in signature.parameters.items() if name not in names]
        all_cases.__signature__ = signature.replace(parameters=rest)
        return all_cases

    return fold


def named_case(names, case, at, ids):
    """A case's name and its values by argument."""
    name = None
    if isinstance(case, type(pytest.param())):
        assert not case.marks, "a case with marks is a test of its own"
        case, name = case.values, case.id
    elif len(names) == 1:
        case = (case,)
    assert len(case) == len(names), f"{len(names)} arguments, and a case of {len(case)} values"
    if name is None and ids is not None:
        name = "-".join(str(ids(value)) for value in case) if callable(ids) else ids[at]
    if name is None or name == "None":
        name = "-".join(str(getattr(value, "__name__", value))[:40] for value in case)
    return name, dict(zip(names, case, strict=True))
