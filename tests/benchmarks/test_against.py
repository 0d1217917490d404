"""`python -m benchmarks.against`: two checkouts in pairs, from the command line."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmarks import against

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.skipif(find_spec("torch") is None, reason="PyTorch is not installed")
def test_a_checkout_against_itself_has_a_row_for_each_point(tmp_path, capsys):
    file = tmp_path / "new" / "rows.json"
    point = "P4MConvP4M, 8 | evaluation | contiguous"
    assert against.main([str(ROOT), "--only", point, "--seconds", "0", "--json", str(file)]) == 0
    (row,) = json.loads(file.read_text())
    low, median, high = row["ratio"]
    assert row["point"] == point and 0 < low <= median <= high and row["milliseconds"] > 0
    assert point in capsys.readouterr().out


@pytest.mark.parametrize("layout", ["nothing there", "nothing that imports"])
def test_a_folder_that_is_no_checkout_is_refused(layout, tmp_path, capsys):
    if layout == "nothing that imports":
        if find_spec("torch") is None:
            pytest.skip("PyTorch is not installed")
        (tmp_path / "torch_gconv").mkdir()
        (tmp_path / "torch_gconv" / "__init__.py").write_text("raise SystemExit(0)")
    with pytest.raises(SystemExit) as exit_:
        against.main([str(tmp_path)])
    assert exit_.value.code == 2
    said = capsys.readouterr().err
    assert str(tmp_path) in said and ("must be a folder with torch_gconv" in said or "can be imported" in said)


def test_a_word_that_no_point_has_lists_them_all(capsys):
    with pytest.raises(SystemExit) as exit_:
        against.main([str(ROOT), "--only", "P5"])
    said = capsys.readouterr().err
    assert exit_.value.code == 2 and all(point in said for point in against.POINTS)
