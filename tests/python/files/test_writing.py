"""Files are written as a whole or not at all."""

import errno
import os
import re
import signal
import stat
import subprocess
import sys
import threading

import pytest

from ferrnn._src.files.drafts import new_draft
from ferrnn._src.files.writing import whole_file, write_file, write_files

POSIX = pytest.mark.skipif(os.name != "posix", reason="of POSIX")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path):
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")
    with whole_file(target) as file:
        file.write(b"new, and longer")
        file.flush()
        assert target.read_bytes() == b"old"
    assert target.read_bytes() == b"new, and longer"
    assert names(tmp_path) == ["a.bin"]


def test_a_writer_may_seek_and_read(tmp_path):
    with whole_file(tmp_path / "a.bin") as file:
        file.write(b"abcdef")
        file.seek(1)
        assert file.read(2) == b"bc"
        file.write(b"DE")
    assert (tmp_path / "a.bin").read_bytes() == b"abcDEf"


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, OSError])
@pytest.mark.parametrize("old", [None, b"old"])
def test_what_fails_leaves_everything_as_it_was(tmp_path, kind, old):
    target = tmp_path / "a.bin"
    if old is not None:
        target.write_bytes(old)

    def write():
        with whole_file(target) as file:
            file.write(b"half")
            raise kind("stopped")

    with pytest.raises(kind, match="stopped"):
        write()
    assert names(tmp_path) == ([] if old is None else ["a.bin"])
    assert old is None or target.read_bytes() == old


def test_several_files_are_replaced_when_all_are_there(tmp_path):
    write_files({tmp_path / "a": "old a", tmp_path / "b": b"old b"})
    with pytest.raises(FileNotFoundError, match=re.escape(str(tmp_path / "none" / "c"))):
        write_files({tmp_path / "a": b"new", tmp_path / "none" / "c": b"new"})
    assert (tmp_path / "a").read_bytes() == b"old a"
    assert names(tmp_path) == ["a", "b"]


@POSIX
def test_permissions_are_the_old_ones_or_those_of_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        write_file(tmp_path / "new", b"1")
        write_file(tmp_path / "old", b"1")
        (tmp_path / "old").chmod(0o604)
        write_file(tmp_path / "old", b"2")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "old").stat().st_mode) == 0o604


@POSIX
def test_a_link_stays_and_leads_to_the_new_contents(tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "latest").symlink_to("far/run")
    write_file(tmp_path / "latest", b"1")  # it led nowhere
    write_file(tmp_path / "latest", b"2")
    assert (tmp_path / "latest").is_symlink()
    assert (tmp_path / "far" / "run").read_bytes() == b"2"
    assert names(tmp_path) == ["far", "latest"]


@POSIX
def test_a_pipe_is_written_to_and_stays(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    got = []
    reader = threading.Thread(target=lambda: got.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    write_file(tmp_path / "pipe", b"through")
    reader.join()
    assert got == [b"through"]
    assert names(tmp_path) == ["pipe"]


@POSIX
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no such device")  # noqa: PTH110
def test_a_full_device_is_told_with_the_path(tmp_path):
    (tmp_path / "a").symlink_to("/dev/full")
    with pytest.raises(OSError, match="nothing was written") as caught:
        write_file(tmp_path / "a", b"1")
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(tmp_path / "a")


@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
def test_every_step_that_fails_is_told_with_the_path(tmp_path, monkeypatch, step):
    target = tmp_path / "a"
    target.write_bytes(b"old")

    def fail(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if step == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    if step == "replace":
        monkeypatch.setattr("pathlib.Path.replace", fail)

    def write():
        with whole_file(target) as file:
            file.write(b"new")
            if step == "write":
                fail()

    with pytest.raises(OSError, match="No space left on device; nothing was written") as caught:
        write()
    assert caught.value.filename == str(target)
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


def test_an_error_about_another_file_keeps_its_name(tmp_path):
    def copy():
        with whole_file(tmp_path / "a") as file:
            file.write((tmp_path / "missing").read_bytes())

    with pytest.raises(FileNotFoundError) as caught:
        copy()
    assert caught.value.filename == str(tmp_path / "missing")
    assert names(tmp_path) == []


def test_a_folder_is_not_replaced(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(OSError, match=re.escape(str(tmp_path / "a"))):
        write_file(tmp_path / "a", b"1")
    assert names(tmp_path) == ["a"]


@POSIX
@pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="root may write anything")
def test_a_file_that_may_not_be_written_is_not_replaced(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    (tmp_path / "a").chmod(0o444)
    with pytest.raises(PermissionError, match=re.escape(str(tmp_path / "a"))):
        write_file(tmp_path / "a", b"1")
    assert (tmp_path / "a").read_bytes() == b"old"


KILLED = """
import os, signal, sys
from ferrnn._src.files.drafts import new_draft
from ferrnn._src.files.writing import whole_file
with whole_file(sys.argv[1]) as file:
    file.write(b"half")
    file.flush()
    print("begun", flush=True)
    sys.stdin.readline()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@POSIX
def test_the_next_writer_removes_what_a_killed_one_left(tmp_path):
    target, other = tmp_path / "a.bin", tmp_path / "b.bin"
    target.write_bytes(b"old")
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(target)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"begun\n"
    write_file(target, b"new")
    assert len(names(tmp_path)) == 2  # the other writer is alive, and may go on
    process.communicate(b"\n")
    assert process.returncode == -signal.SIGKILL
    write_file(other, b"of another name")
    assert len(names(tmp_path)) == 3
    with whole_file(target) as file:
        file.write(b"newer")
        assert len(names(tmp_path)) == 3  # its own draft in place of the abandoned one
    assert names(tmp_path) == ["a.bin", "b.bin"]
    assert target.read_bytes() == b"newer"


@POSIX
def test_only_regular_files_are_taken_for_drafts(tmp_path):
    target = tmp_path / "a.bin"
    draft, file = new_draft(target)
    file.close()
    draft.unlink()
    (tmp_path / "mine").write_bytes(b"mine")
    draft.symlink_to(tmp_path / "mine")
    pipe = draft.with_name(draft.name.replace(draft.name[-5], "_"))
    os.mkfifo(pipe)
    write_file(target, b"whole")
    assert draft.is_symlink()
    assert pipe.exists()
    assert (tmp_path / "mine").read_bytes() == b"mine"


@POSIX
def test_threads_that_write_one_file_leave_one_of_theirs(tmp_path):
    def write(number):
        for _ in range(10):
            write_file(tmp_path / "a.bin", bytes([number]) * 5000)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert names(tmp_path) == ["a.bin"]
    assert len(set((tmp_path / "a.bin").read_bytes())) == 1
