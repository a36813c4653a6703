"""The files of other frameworks and the table of what they hold fit each other."""

import zipfile

import foreign
from each_case import each_case

BESIDE = {"README.md", "external.bin"}


def files(maker: str) -> set[str]:
    return {foreign.load(maker, name).about["file"] for name in foreign.names(maker)}


@each_case("maker", foreign.MAKERS)
def test_every_case_has_its_file_and_its_numbers(maker):
    for name in foreign.names(maker):
        case = foreign.load(maker, name)
        assert foreign.path(case.about["file"]).exists(), name
        assert case.about.get("refused") or (case.series("input") and case.series("output")), name


def test_every_file_is_that_of_a_case():
    known = set().union(*map(files, foreign.MAKERS))
    found = {path.relative_to(foreign.DATA).as_posix() for path in foreign.DATA.glob("*/*")}
    for packed in foreign.DATA.glob("*.zip"):
        with zipfile.ZipFile(packed) as opened:
            found |= {"/".join(name.split("/")[:2]) for name in opened.namelist()}
    assert {name for name in found - known if name.split("/")[1] not in BESIDE} == set()


def test_the_files_stay_small():
    sizes = [path.stat().st_size for path in foreign.DATA.rglob("*") if path.is_file()]
    assert sum(sizes) < 2_000_000
