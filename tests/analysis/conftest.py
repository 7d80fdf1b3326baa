"""A small world whose lists, per-user values and records agree: users with tastes, items with texts and popularity."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from divrec.analysis import FrontOptions, FrontSummary, build_front
from divrec.schema import BASE, BASELINE, CONTROL, SPLITS, TRAINED, RunRecord
from divrec.storage import write_json

K = 10
FEW = FrontOptions(replicates=60)
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """Truth of the synthetic shop: U users, N items in C categories, taste scores, popularity and histories."""

    vectors_ND: Floats
    categories_N: NDArray[np.int64]
    popularity_N: Floats
    taste_UN: Floats
    history_UC: Floats
    targets: dict[str, NDArray[np.int64]]

    @classmethod
    def make(cls, users: int = 300, items: int = 500, categories: int = 20) -> World:
        """Draw a world with a fixed seed."""
        random = np.random.default_rng(5)
        centers = random.normal(size=(categories, 16))
        groups = random.integers(0, categories, items)
        vectors = centers[groups] + random.normal(size=(items, 16))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        popularity = random.gumbel(size=items)
        tastes = random.normal(size=(users, 2, 16)).sum(1)
        taste = 5 * tastes / np.linalg.norm(tastes, axis=1, keepdims=True) @ vectors.T + 0.8 * popularity
        draws = {split: taste + random.gumbel(size=taste.shape) for split in SPLITS}
        targets = {split: np.argsort(-draw, axis=1)[:, :3] for split, draw in draws.items()}
        shown = np.argsort(-(taste + random.gumbel(size=taste.shape)), axis=1)[:, :15]
        history = np.stack([(groups[shown] == c).mean(1) for c in range(categories)], axis=1)
        return cls(vectors, groups, popularity, taste, history, targets)

    def scores(self, seed: int, noise: float = 1.0) -> Floats:
        """What a trained model thinks of each item."""
        return self.taste_UN + noise * np.random.default_rng(seed).normal(size=self.taste_UN.shape)

    def mmr(self, scores_UN: Floats, diversity: float) -> NDArray[np.int64]:
        """Greedy lists that trade standardized scores against the closest chosen item."""
        pool = np.argsort(-scores_UN, axis=1)[:, :50]
        gains = np.take_along_axis(scores_UN, pool, axis=1)
        gains = (gains - gains.mean(1, keepdims=True)) / gains.std(1, keepdims=True)
        closeness = np.einsum("umd,und->umn", self.vectors_ND[pool], self.vectors_ND[pool])
        worst = np.zeros_like(gains)
        chosen = []
        for _ in range(K):
            best = np.argmax((1 - diversity) * gains - 3 * diversity * worst, axis=1)
            chosen.append(np.take_along_axis(pool, best[:, None], axis=1)[:, 0])
            rows = np.arange(len(pool))
            worst = np.maximum(worst, closeness[rows, best])
            gains[rows, best] = -np.inf
        return np.stack(chosen, axis=1)

    def measure(self, lists_UK: NDArray[np.int64], split: str) -> tuple[pd.DataFrame, dict[str, float]]:
        """Per-user values and means of delivered lists, set-level values from the very exposures."""
        hits = (lists_UK[:, :, None] == self.targets[split][:, None, :]).any(2)
        discount = 1 / np.log2(np.arange(2, K + 2))
        shares = np.stack([(self.categories_N[lists_UK] == c).mean(1) for c in range(self.history_UC.shape[1])], axis=1)
        near = np.einsum("ukd,uld->ukl", self.vectors_ND[lists_UK], self.vectors_ND[lists_UK])
        distances = 1 - near[:, *np.triu_indices(K, 1)]
        users = pd.DataFrame(
            {
                f"ndcg@{K}": (hits * discount).sum(1) / discount[:3].sum(),
                f"recall@{K}": hits.sum(1) / 3,
                f"simpson@{K}": 1 - (shares**2).sum(1),
                f"ilad@{K}": distances.mean(1),
                f"ilmd@{K}": distances.min(1),
                f"overlap@{K}": 2 * (shares * self.history_UC).sum(1) / (shares + self.history_UC).sum(1),
            }
        )
        exposure = np.sort(np.bincount(lists_UK.ravel(), minlength=len(self.popularity_N)))
        size = len(exposure)
        gini = ((2 * np.arange(1, size + 1) - size - 1) * exposure).sum() / (size * exposure.sum())
        means = {name: float(value) for name, value in users.mean().items()}
        return users, means | {f"coverage@{K}": float((exposure > 0).mean()), f"gini@{K}": float(gini)}


@dataclass(frozen=True)
class Recipe:
    """Name, kind and knobs of a synthetic point."""

    name: str
    kind: str
    regularizer: str = ""
    beta: float = 0.0
    diversity: float | None = None
    seed: int = 0


def recipes(seed: int = 0, tail: str = "") -> list[Recipe]:
    """The 24 points of a plausible sweep."""
    found = [Recipe(f"base{tail}", BASE, seed=seed), Recipe(f"control{tail}", CONTROL, seed=seed)]
    found += [Recipe(f"control{tail}/mmr-{d}", CONTROL, diversity=d, seed=seed) for d in (0.1, 0.2, 0.3, 0.5)]
    betas = {"gini": (0.1, 0.2, 0.3, 0.5, 1.0), "simpson": (0.1, 0.2, 0.3, 0.5, 1.0), "gini_overlap": (0.1, 0.3, 1.0)}
    for name, values in betas.items():
        found += [Recipe(f"{name}-{beta:g}{tail}", TRAINED, name, beta, seed=seed) for beta in values]
    found += [Recipe(f"gini-0.3{tail}/mmr-{d}", TRAINED, "gini", 0.3, d, seed) for d in (0.1, 0.3)]
    return found + [Recipe(name, BASELINE) for name in ("random", "popular", "item_knn")]


def delivered(world: World, recipe: Recipe) -> NDArray[np.int64]:
    """Lists of a recipe: R pulls popularity down or the favorite category; "gini_overlap" does next to nothing."""
    scores = world.scores(seed=10 + recipe.seed)
    if recipe.kind == BASE:
        scores = world.scores(seed=90 + recipe.seed, noise=1.3)
    elif recipe.name == "random":
        scores = np.random.default_rng(1).normal(size=scores.shape)
    elif recipe.name == "popular":
        scores = np.broadcast_to(world.popularity_N, scores.shape)
    elif recipe.name == "item_knn":
        scores = world.scores(seed=50, noise=1.8)
    if recipe.regularizer == "gini":
        scores = scores - 0.5 * recipe.beta * world.popularity_N
    elif recipe.regularizer == "simpson":
        scores = scores - 6 * recipe.beta * world.history_UC[:, world.categories_N]
    elif recipe.regularizer == "gini_overlap":
        scores = scores + 0.001 * np.random.default_rng(int(100 * recipe.beta)).normal(size=scores.shape)
    return np.argsort(-scores, axis=1)[:, :K] if recipe.diversity is None else world.mmr(scores, recipe.diversity)


def write_point(world: World, folder: Path, recipe: Recipe) -> RunRecord:
    """Write the three files of a point."""
    run, _, point = recipe.name.partition("/")
    place = folder / run / "points" / point if point else folder / run
    place.mkdir(parents=True)
    lists = delivered(world, recipe)
    names = [f"u{user}" for user in range(len(lists))]
    users, metrics = {}, {}
    for split in SPLITS:
        users[split], metrics[split] = world.measure(lists, split)
        users[split].insert(0, "user_id", names)
        users[split].insert(0, "split", split)
    slates = pd.DataFrame({"user_id": np.repeat(names, K), "rank": np.tile(np.arange(1, K + 1), len(lists))})
    slates["item_id"] = [f"i{item}" for item in lists.ravel()]
    slates["score"] = 1.0 / slates["rank"]
    pd.concat(users.values()).to_parquet(place / "users.parquet", index=False)
    pd.concat([slates.assign(split=split) for split in SPLITS]).to_parquet(place / "slates.parquet", index=False)
    record = RunRecord(
        identity=f"id-{recipe.name}",
        kind=recipe.kind,
        name=recipe.name,
        config={"k": K, "beta": recipe.beta, "seed": recipe.seed},
        seed=recipe.seed,
        data={"name": "synthetic", "fingerprint": "0123456789abcdef", "users": 300, "items": 500, "events": 4500},
        model={"encoder": "tiny", "parameters": 123456, "trainable": 4567},
        objective={
            "task": None if recipe.kind == BASELINE else "cross_entropy",
            "diversity": {recipe.regularizer: 1.0} if recipe.regularizer else {},
            "beta": recipe.beta,
        },
        metrics=metrics,
        cost={"fit_seconds": 12.5 * (recipe.kind == TRAINED), "evaluate_seconds": 1.5, "steps": 300},
        code={"version": "0.1.0", "commit": "abcdef0"},
        rerank={} if recipe.diversity is None else {"name": "mmr", "diversity": recipe.diversity},
    )
    write_json(place / "record.json", record.to_dict())
    return record


def write_sweep(world: World, folder: Path, points: list[Recipe]) -> Path:
    """Write a sweep's folder with all its points."""
    runs = [{"name": recipe.name, "kind": recipe.kind} for recipe in points if "/" not in recipe.name]
    folder.mkdir(parents=True)
    write_json(folder / "sweep.json", {"name": folder.name, "expected": runs})
    for recipe in points:
        write_point(world, folder, recipe)
    return folder


@pytest.fixture(scope="session")
def world() -> World:
    """The synthetic shop."""
    return World.make()


@pytest.fixture(scope="session")
def written_sweep(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep with one seed; do not write into it."""
    return write_sweep(world, tmp_path_factory.mktemp("sweeps") / "beta_x_loss", recipes())


@pytest.fixture
def sweep_folder(written_sweep: Path, tmp_path: Path) -> Path:
    """A copy of the sweep that a test may damage."""
    return Path(shutil.copytree(written_sweep, tmp_path / written_sweep.name))


@pytest.fixture(scope="session")
def seeded_sweep(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep over three seeds of a few points; the baselines have no seed in their names."""
    points = [recipe for seed in range(3) for recipe in recipes(seed, f"-seed{seed}") if recipe.kind != BASELINE]
    kept = [p for p in points if p.name.split("-")[0].split("/")[0] in ("base", "control") or p.regularizer == "gini"]
    return write_sweep(world, tmp_path_factory.mktemp("seeds") / "seeds", [*kept, replace(recipes()[-2])])


@pytest.fixture
def coarse_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures of a few pixels, where a test builds a front for its numbers."""
    monkeypatch.setattr("divrec.analysis.plots._DPI", 40)


@pytest.fixture
def edit_record() -> Callable[[Path, dict[str, object]], None]:
    """Change top-level keys of a record.json."""

    def edit(folder: Path, changes: dict[str, object]) -> None:
        path = folder / "record.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return edit


@pytest.fixture(scope="session")
def built(world: World, written_sweep: Path, tmp_path_factory: pytest.TempPathFactory) -> FrontSummary:
    """The front of the sweep with one point missing and one broken, item texts given; do not write into it."""
    folder = Path(shutil.copytree(written_sweep, tmp_path_factory.mktemp("built") / written_sweep.name))
    shutil.rmtree(folder / "gini-1")
    (folder / "simpson-1" / "record.json").write_text("{")
    texts = {f"i{item}": (f"Product <{item}> & more", (f"c{world.categories_N[item]}",)) for item in range(500)}
    return build_front(folder, texts, FEW)
