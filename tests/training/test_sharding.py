"""Two processes with a piece of every weight each train what one process trains. The file is those two processes too.

They talk through gloo on the CPU, by torch's own `fully_shard` and Lightning's own loop.
"""

from __future__ import annotations

import copy
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor

from divrec.errors import ConfigError
from divrec.models import Full, Lora, TableSettings, TextEncoder, TopLayers
from divrec.models.encoder import pool, text_vectors
from divrec.objectives import BinaryCrossEntropy
from divrec.training import Schedule, ShardedStrategy, TrainingCheckpoint, fit, shard
from divrec.training.sharding import language_models, load_whole, whole_weights
from models.conftest import FAMILIES, save_tiny
from shared_once import made_once
from training.sharded_shop import text_model, text_module, without_dropout
from training.shop import MONITOR, Log, open_shop
from training.two_processes import meet, run_twice, trainer_of

TABLE = partial(TableSettings, "epoch", None)
POINT = Schedule(steps=3, learning_rate=0.02, validate_every=2)
BASE = Schedule(steps=6, learning_rate=0.05, validate_every=2, patience=2)
CASES: dict[str, dict[str, Any]] = {
    "full": {"tuning": Full(TABLE(chunk=2)), "settings": {"gradient_clip_val": 0.5}},
    "some frozen": {"tuning": Lora(rank=2, table=TABLE()), "settings": {"accumulate_grad_batches": 2}},
    "sampled": {"tuning": Full(TableSettings(2, None)), "task": partial(BinaryCrossEntropy, 9), "beta": 0.0},
    "best weights": {"tuning": TopLayers(2, table=TABLE()), "schedule": BASE},
    "killed": {"tuning": Full(TABLE()), "schedule": BASE, "killed": True},
}
WORDS = ["red", "green", "blue", "soft", "hard", "apple", "pear", "plum", "bread", "milk"]
LIVE = [[], [7, 1, 4, 2, 9]]  # texts that carry gradient: none in the first process, three chunks of them in the other
POLICIES = ("epoch", "live")


def trained(name: str, folder: Path, devices: int, run: str = "", aside: str = "") -> dict[str, Any]:
    """What a training logs and ends in.

    Args:
        name: of the case.
        folder: of data and language model.
        devices: processes.
        run: folder of its checkpoints, if it keeps any.
        aside: where its state after four steps is kept.
    """
    case, data, log = CASES[name], open_shop(folder), Log()
    data._evaluation_batch_size = 7  # the processes get other numbers of batches
    module = text_module(data, folder / "bert", case["tuning"], case.get("schedule", POINT), case.get("beta", 1.0))
    if "task" in case:
        module.objective.task, module.objective.catalogue_size = case["task"](), data.manifest["items"]
    plain = module.model

    kept_aside = (folder / run, folder / aside) if aside else None
    trainer = trainer_of(case, devices, ShardedStrategy, kept_aside)
    checkpoint = TrainingCheckpoint(folder / run, name, minutes=0) if run else None
    fitted = fit(module, data, trainer, [log], MONITOR, show_bar=False, checkpoint=checkpoint)
    assert module.model is plain, "who goes on has a model as whole as before"
    with torch.no_grad():
        vectors_ND = plain.eval().item_tower()
    logged = {f"{step}/{key}": value for step, row in log.rows for key, value in row.items() if key != "epoch"}
    weights = {key: value.clone() for key, value in module.state_dict().items()}
    return {"leads": fitted.leads, "steps": fitted.steps, "weights": weights, "items": vectors_ND, "logged": logged}


def pieces(folder: Path, rank: int) -> dict[str, Any]:
    """What the policy cuts, and what becomes of it, without Lightning."""
    mesh = init_device_mesh("cpu", (2,))
    plain = text_model(open_shop(folder), folder / "bert", Lora(rank=2, table=TABLE()))
    model = shard(copy.deepcopy(plain), mesh)
    parameters = dict(model.named_parameters())
    found: dict[str, Any] = {
        "groups": [name for name, part in model.named_modules() if isinstance(part, FSDPModule)],
        "whole": [name for name, each in parameters.items() if not isinstance(each, DTensor)],
        "own": {name: each.to_local().numel() for name, each in parameters.items()},
        "frozen": [name for name, each in parameters.items() if not each.requires_grad],
        "state": whole_weights(model),
    }
    doubled = {name: 2 * value for name, value in plain.state_dict().items()}
    load_whole(model, doubled)
    found["doubled"] = whole_weights(model)
    for family in FAMILIES:
        found[f"vectors of {family}"] = vectors_of(folder / family, lambda plm: shard(plm, mesh))
    for policy in POLICIES:
        tower = shard(tower_of(folder, policy), mesh)
        (tower(None, torch.tensor(LIVE[rank], dtype=torch.long)) * weighing(rank)).sum().backward()
        found[f"gradient, {policy}"] = {
            name: each.grad.full_tensor() for name, each in tower.named_parameters() if each.grad is not None
        }
    return found


def vectors_of(plm: Path, change: Any = lambda plm: plm) -> torch.Tensor:  # noqa: ANN401
    """What a language model makes of three texts, in train mode, after a pass back."""
    encoder = TextEncoder(str(plm))
    model, tokens = change(without_dropout(encoder.load()[0]).train()), encoder.tokenize(WORDS[:3])
    vectors_TD = pool(model, tokens)
    vectors_TD.square().sum().backward()
    return vectors_TD.detach()


def tower_of(folder: Path, policy: str) -> nn.Module:
    """Ten texts, two of them at once."""
    encoder = TextEncoder(str(folder / "bert"))
    whitening, vectors_TW = text_vectors(encoder, WORDS, 4, folder / "tower")
    return without_dropout(Full(TableSettings(policy, None, chunk=2))(encoder, WORDS, whitening, vectors_TW))


def weighing(rank: int) -> torch.Tensor:
    """What the loss of a process multiplies the vectors of the texts with."""
    return torch.randn(len(WORDS), 4, generator=torch.Generator().manual_seed(rank))


def work(folder: Path) -> None:
    """One of the two: the pieces, then all trainings, one after the other."""
    rank = meet(folder)
    found = {"pieces": pieces(folder, rank)}
    dist.destroy_process_group()
    trainings = [(name, ("run", "aside") if "killed" in case else ()) for name, case in CASES.items()]
    for number, (name, places) in enumerate([*trainings, ("killed", ("aside",))]):
        meet(folder, f"meet-{number}")
        found[name] = trained(name, folder, 2, *places)
    torch.save(found, folder / f"{rank}.pt")


@pytest.fixture(scope="module")
def together(tmp_path_factory) -> tuple[Path, list[dict[str, Any]]]:
    """What the two processes found."""

    def make(folder: Path) -> None:
        for family in FAMILIES:
            save_tiny(folder / family, family)
        open_shop(folder)
        tower_of(folder, "epoch")
        text_model(open_shop(folder), folder / "bert", TopLayers(2))
        run_twice(__file__, folder)

    folder = made_once(tmp_path_factory, "sharding", make)
    return folder, [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_two_processes_train_what_one_trains(name, together):
    folder, (first, second) = together
    alone, found, other = trained(name, folder, 1), first[name], second[name]
    assert (found["leads"], other["leads"], found["steps"]) == (True, False, alone["steps"])
    # Where the gradient went is what each process sees of its own rows.
    logged, expected = (
        {key: value for key, value in each["logged"].items() if "/gradient/" not in key} for each in (found, alone)
    )
    # A training that goes on logs what is left of it.
    assert logged.keys() <= expected.keys() if name == "killed" else logged.keys() == expected.keys()
    assert any(key.endswith("loss/total") for key in logged)
    assert any(key.endswith(MONITOR) for key in logged)
    assert logged == pytest.approx({key: expected[key] for key in logged}, rel=1e-5, abs=1e-5, nan_ok=True)
    assert found["weights"].keys() == other["weights"].keys() == alone["weights"].keys()
    for key, value in alone["weights"].items():
        assert torch.allclose(found["weights"][key], value, atol=1e-5, rtol=0), key
        assert torch.equal(found["weights"][key], other["weights"][key]), f"{key}: both end in the same weights"
    assert torch.allclose(found["items"], alone["items"], atol=1e-5, rtol=0)


@pytest.mark.slow
def test_the_cases_train_the_language_model_and_measure_a_ratio(together):
    folder, (first, _) = together
    start = text_module(open_shop(folder), folder / "bert", CASES["full"]["tuning"], POINT, 1.0).state_dict()
    moved = {key: float((first["full"]["weights"][key] - start[key]).abs().max()) for key in start}
    assert all(moved[key] > 1e-4 for key in moved if key.endswith("query.weight"))
    assert sum(key.endswith("query.weight") for key in moved) == 3
    assert first["full"]["weights"]["objective.ratios"] != 1


@pytest.mark.slow
def test_each_layer_is_a_group_and_every_weight_lies_in_pieces_the_frozen_ones_too(together):
    first, second = (each["pieces"] for each in together[1])
    plm = "item_tower.text_tower.reader.plm"
    layers = [f"{plm}.encoder.layer.{number}" for number in range(3)]
    assert sorted(first["groups"]) == sorted(["", "item_tower", plm, *layers, "user"])
    assert first["whole"] == []
    assert any("query.base_layer.weight" in name for name in first["frozen"])
    plain = dict(text_model(open_shop(together[0]), together[0] / "bert", Lora(rank=2)).named_parameters())
    for name, parameter in plain.items():
        assert first["own"][name] + second["own"][name] == parameter.numel(), name
    assert first["own"][f"{plm}.embeddings.word_embeddings.weight"] == 14 * 16, "half of it"


@pytest.mark.slow
def test_a_gathered_state_has_the_names_of_a_plain_model_and_loads_into_one(together):
    folder, found = together
    plain = text_model(open_shop(folder), folder / "bert", Lora(rank=2, table=TABLE()))
    expected = plain.state_dict()
    for each in found:
        state, doubled = each["pieces"]["state"], each["pieces"]["doubled"]
        assert list(state) == list(expected)
        assert all(torch.equal(state[name], value) for name, value in expected.items())
        assert all(torch.equal(doubled[name], 2 * value) for name, value in expected.items())
        plain.load_state_dict(state)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_a_language_model_of_any_family_computes_the_same_in_pieces(family, together):
    folder, found = together
    for each in found:
        assert torch.allclose(each["pieces"][f"vectors of {family}"], vectors_of(folder / family), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("policy", POLICIES)
def test_processes_with_other_numbers_of_texts_run_in_step(policy, together):
    folder, found = together
    tower = tower_of(folder, policy)
    for rank in range(2):  # what is live for one process carries the gradient of both
        ((tower(None, torch.tensor(sum(LIVE, []))) * weighing(rank)).sum() / 2).backward()
    expected = {name: each.grad for name, each in tower.named_parameters() if each.grad is not None}
    largest = max(float(gradient.abs().max()) for gradient in expected.values())
    assert largest > 0.01
    for each in found:
        gradients = each["pieces"][f"gradient, {policy}"]
        assert gradients.keys() == expected.keys()
        for name, gradient in expected.items():
            assert torch.allclose(gradients[name], gradient, atol=1e-5 * largest), name


@pytest.mark.parametrize("family", FAMILIES)
def test_the_language_model_of_any_family_is_found_once(family, tmp_path):
    plm = TextEncoder(str(save_tiny(tmp_path, family))).load()[0]
    assert language_models(nn.ModuleDict({"a": nn.Linear(1, 1), "b": nn.Sequential(plm)})) == [plm]


def test_a_parameter_without_dimensions_is_named():
    module = nn.Linear(2, 2)
    module.temperature = nn.Parameter(torch.tensor(1.0))
    with pytest.raises(ConfigError, match=r"without dimensions.*temperature.*shape \(1,\)"):
        shard(module, None)


if __name__ == "__main__":
    work(Path(sys.argv[1]))
