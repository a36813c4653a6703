"""Every test starts from the same names, seeds and settings."""

import gc
import os

# NumPy's BLAS threads slow each other down on products this small.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# xdist has a worker on each core. Tests of threads set their number themselves.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("FERRNN_NUM_THREADS", "1")

import pytest
from _pytest.runner import runtestprotocol

from each_case import fresh


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Collected tests live to the end, so the garbage collector need not walk over them."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_runtest_protocol(item, nextitem):
    """Reports a passed test to xdist in one message: five cost more than most tests."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return None
    reports = runtestprotocol(item, nextitem=nextitem, log=False)
    if all(report.passed for report in reports):
        reports = [report for report in reports if report.when == "call"]
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    return True


@pytest.fixture(autouse=True)
def fresh_session():
    fresh()
