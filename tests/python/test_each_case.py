"""Cases that share a test: all of them run, and those that fail are named."""

import pytest

from each_case import each_case

ran = []


@each_case("right", [1, 2], ids=["one", "two"])
@each_case(("left", "wanted"), [(1, 2), pytest.param(2, 4, id="middle"), (3, 6)])
def doubling(left, wanted, right):
    ran.append((left, right))
    if (left, right) == (3, 1):
        with pytest.raises(ValueError, match="never"):
            pass
    assert left * (2 if left != 2 else right) == wanted


def test_all_cases_run_and_those_that_fail_are_named(monkeypatch):
    ran.clear()
    monkeypatch.delenv("CASES", raising=False)
    with pytest.raises(AssertionError) as caught:
        doubling()
    assert ran == [(left, right) for right in (1, 2) for left in (1, 2, 3)]
    told = str(caught.value)
    assert told.startswith("1 of 2 cases fail:\n[one] AssertionError: 2 of 3 cases fail:\n[middle]")
    assert "[3-6] Failed: DID NOT RAISE" in told
    assert str(caught.value.__cause__.__cause__).startswith("assert (2 * 1) == 4")


def test_a_test_without_cases_is_an_error():
    with pytest.raises(AssertionError, match=r"no cases of \['right'\]"):
        each_case("right", [])


def test_cases_are_chosen_by_their_names(monkeypatch):
    ran.clear()
    monkeypatch.setenv("CASES", "two")

    @each_case("right", [1, 2], ids=["one", "two"])
    def noted(right):
        ran.append(right)

    noted()
    assert ran == [2]


def test_marks_need_a_test_of_their_own():
    with pytest.raises(AssertionError, match="a test of its own"):
        each_case("one", [pytest.param(1, marks=pytest.mark.slow)])
