import json
import math

import pytest

from divrec.storage import replacing, write_json


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    target = tmp_path / "deep" / "file.txt"
    with pytest.raises(RuntimeError, match="halfway"), replacing(target) as temporary:  # noqa: PT012 - the block is the point
        temporary.write_text("half")
        raise RuntimeError("halfway")
    assert list(tmp_path.rglob("*")) == [target.parent]
    with replacing(target) as temporary:
        temporary.write_text("whole")
    assert target.read_text() == "whole"
    assert list(target.parent.iterdir()) == [target]


def test_a_failed_rewrite_keeps_the_old_file(tmp_path):
    target = tmp_path / "file.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError), replacing(target) as temporary:  # noqa: PT012 - the block is the point
        temporary.write_text("new")
        raise RuntimeError
    assert target.read_text() == "old"


def test_a_folder_appears_whole(tmp_path):
    with replacing(tmp_path / "set") as temporary:
        temporary.mkdir()
        (temporary / "a").write_text("a")
        assert not (tmp_path / "set").exists()
    assert (tmp_path / "set" / "a").read_text() == "a"


def test_numbers_that_json_cannot_hold_become_null(tmp_path):
    write_json(tmp_path / "x.json", {"a": math.nan, "b": [math.inf, 1.5]})
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": None, "b": [None, 1.5]}
