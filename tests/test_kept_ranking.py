"""Rankings on disk: read as they were written, to the bit, and never when something is not as it was."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from divrec.batch import EvaluationBatch
from divrec.errors import RecordError
from divrec.kept_ranking import KeepingRanker, RankingFiles
from divrec.ranking import rank, tie_order

SIZE, TOP = 30, 12
DEPENDS_ON = {"weights": "a", "data": "b", "exclude_seen": True}


class Drawn:
    """Ranks by scores drawn from a seed, with ties; counts what it is asked for."""

    def __init__(self, dtype=torch.float32):
        self.dtype, self.asked, self.done = dtype, 0, []

    def rank(self, split, batch):
        self.asked += 1
        generator = torch.Generator().manual_seed(self.asked)
        scores_BN = torch.randint(0, 9, (len(batch.targets_BT), SIZE), generator=generator).to(self.dtype)
        seen_BS = torch.randint(0, SIZE + 1, (len(batch.targets_BT), SIZE // 2), generator=generator)
        return rank(scores_BN / 7, batch.targets_BT, seen_BS, TOP, tie_order(SIZE, 0))

    def finish(self, split):
        self.done.append(split)


def users(sizes, seed=0):
    """Batches of so many users with differently many targets; only those are read here."""
    generator, made = torch.Generator().manual_seed(seed), []
    for size in sizes:
        width = int(torch.randint(1, 6, (), generator=generator))
        targets_BT = torch.stack([torch.randperm(SIZE, generator=generator)[:width] for _ in range(size)])
        targets_BT[torch.rand(targets_BT.shape, generator=generator) < 0.3] = -1
        made.append(EvaluationBatch(None, targets_BT, tuple(map(str, range(size)))))
    return made


def kept(folder, sizes=(4, 1, 3), ranker=None):
    """Rankings of a split that were handed on, and the files they went to."""
    files = RankingFiles(folder / "ranking", DEPENDS_ON, TOP)
    keeping = KeepingRanker(ranker or Drawn(), files)
    handed_on = [keeping.rank("test", batch) for batch in users(sizes)]
    keeping.finish("test")
    return files, handed_on


def same(one, other):
    pairs = [(getattr(one, field.name), getattr(other, field.name)) for field in dataclasses.fields(one)]
    return all(a.dtype == b.dtype and torch.equal(a, b) for a, b in pairs)


@given(sizes=st.lists(st.integers(1, 5), min_size=1, max_size=4), dtype=st.sampled_from([torch.float32, torch.float64]))
@settings(max_examples=20, deadline=None)
def test_what_is_read_is_what_was_ranked(tmp_path_factory, sizes, dtype):
    files, handed_on = kept(tmp_path_factory.mktemp("run"), sizes, Drawn(dtype))
    reader = files.read(["test"])
    for batch, ranking in zip(users(sizes), handed_on, strict=True):
        assert same(reader.rank("test", batch), ranking)
    reader.finish("test")


def test_the_batches_may_be_others_when_it_is_read(tmp_path):
    files, handed_on = kept(tmp_path, (4, 4))
    one, two = users((4, 4))
    halves = [
        EvaluationBatch(None, each.targets_BT[rows], ()) for each in (one, two) for rows in (slice(2), slice(2, 4))
    ]
    reader = files.read(["test"])
    items_BM = torch.cat([reader.rank("test", half).items_BM for half in halves])
    assert torch.equal(items_BM, torch.cat([ranking.items_BM for ranking in handed_on]))


def test_the_ranker_behind_is_told_of_the_end(tmp_path):
    drawn = Drawn()
    kept(tmp_path, (2,), drawn)
    assert drawn.done == ["test"]


@pytest.mark.parametrize(
    "changes",
    [
        {"depends_on": DEPENDS_ON | {"weights": "c"}},
        {"depends_on": DEPENDS_ON | {"data": "c"}},
        {"depends_on": DEPENDS_ON | {"exclude_seen": False}},
        {"top": TOP + 1},
        {"top": TOP - 1},
    ],
)
def test_a_ranking_of_something_else_is_not_read_and_gives_way(changes, tmp_path):
    files, _ = kept(tmp_path)
    other = dataclasses.replace(files, **changes)
    assert files.read(["test"]) is not None
    assert other.read(["test"]) is None
    other.write("test", {"items_UM": torch.zeros(1, 1)})
    assert [file.name for file in files.folder.iterdir()] == [other.file("test").name]


def test_another_split_is_left_alone(tmp_path):
    files, _ = kept(tmp_path)
    assert files.read(["validation", "test"]) is None
    files.write("validation", {"items_UM": torch.zeros(1, 1)})
    assert len(list(files.folder.iterdir())) == 2


@pytest.mark.parametrize("left", [0, 7, 100, -1])
def test_a_truncated_file_is_not_read(left, tmp_path, caplog):
    files, _ = kept(tmp_path)
    content = files.file("test").read_bytes()
    files.file("test").write_bytes(content[:left])
    assert files.read(["test"]) is None
    assert "ranked anew" in caplog.text


def test_what_breaks_off_leaves_nothing(tmp_path):
    files = RankingFiles(tmp_path / "ranking", DEPENDS_ON, TOP)
    keeping = KeepingRanker(Drawn(), files)
    keeping.rank("test", users((3,))[0])
    assert files.read(["test"]) is None
    assert not files.folder.exists()


@pytest.mark.parametrize("sizes", [(4, 1, 3, 1), (4, 1, 4), (4, 1)])
def test_other_users_are_noticed(sizes, tmp_path):
    files, _ = kept(tmp_path, (4, 1, 3))
    reader = files.read(["test"])

    def read():
        for batch in users(sizes):
            reader.rank("test", batch)
        reader.finish("test")

    with pytest.raises(RecordError, match="other data"):
        read()


def test_the_longest_that_is_kept_for_all_splits_is_found(tmp_path):
    files = RankingFiles(tmp_path / "ranking", DEPENDS_ON, TOP)
    assert files.longest(["validation", "test"]) == files
    for split, top in (("validation", 20), ("test", 20), ("test", 30)):
        tensors = {"items_UM": torch.zeros(1, 1)}
        longer = dataclasses.replace(files, top=top)
        kept_before = (
            [(file, file.read_bytes()) for file in files.folder.glob(f"{split}-*")] if files.folder.is_dir() else []
        )
        longer.write(split, tensors)
        for file, content in kept_before:  # as if another process had not removed it
            file.write_bytes(content)
    assert files.longest(["validation", "test"]).top == 20
    assert files.longest(["test"]).top == 30
    other = dataclasses.replace(files, depends_on=DEPENDS_ON | {"weights": "c"})
    assert other.longest(["test"]) == other
