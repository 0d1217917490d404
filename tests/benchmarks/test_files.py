"""Files are written whole or not at all."""

import os
from pathlib import Path

import pytest

from benchmarks.files import write_whole


def test_folders_are_made_and_files_replaced(tmp_path):
    path = tmp_path / "new" / "file"
    for content in (b"old and long", b"new"):
        write_whole(path, content)
        assert path.read_bytes() == content and list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("stage", ["write", "replace"])
def test_what_fails_halfway_leaves_the_old_file_and_nothing_else(stage, tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_whole(path, b"old")
    write_bytes = Path.write_bytes

    def write_half(self, content):
        write_bytes(self, content[: len(content) // 2])
        raise OSError(28, "No space left on device")

    def refuse(*_):
        raise OSError(28, "No space left on device")

    if stage == "write":
        monkeypatch.setattr(Path, "write_bytes", write_half)
    else:
        monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, b"new and long")
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]
