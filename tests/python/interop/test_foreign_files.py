"""The files of other frameworks and the table of what they hold fit each other."""

import pytest

import foreign

BESIDE = {"README.md", "external.bin", *(f"{maker}.npz" for maker in foreign.MAKERS)}


@pytest.mark.parametrize("maker", foreign.MAKERS)
def test_every_case_has_its_file_and_its_numbers(maker):
    for name in foreign.names(maker):
        case = foreign.load(maker, name)
        assert (foreign.DATA / case.about["file"]).exists(), name
        assert case.about.get("refused") or (case.series("input") and case.series("output")), name


def test_every_file_is_that_of_a_case():
    files = {
        foreign.DATA / foreign.load(maker, name).about["file"]
        for maker in foreign.MAKERS
        for name in foreign.names(maker)
    }
    for path in foreign.DATA.rglob("*"):
        owned = path in files or any(parent in files for parent in path.parents)
        assert path.is_dir() or owned or path.name in BESIDE, path


def test_the_files_stay_small():
    sizes = [path.stat().st_size for path in foreign.DATA.rglob("*") if path.is_file()]
    assert sum(sizes) < 3_000_000
    assert max(sizes) < 200_000
