"""The scorer of pairs: what the language model reads of two texts, which settings hold, whose weights are trained."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from divrec.errors import ConfigError
from divrec.models import PairScorer, Runtime, TextEncoder
from divrec.models.tuning.layers import layer_stack
from models.conftest import FAMILIES, save_tiny

FIRST = ["soft pear; hard plum", "", "red apple", "milk"]
SECOND = ["green", "bread", "soft bread and more blue milk", ""]


def scorer_of(folder, trained_layers=1, max_tokens=24, **settings):
    torch.manual_seed(0)
    return PairScorer(TextEncoder(str(folder), **settings), trained_layers, max_tokens)


def scores(scorer, first=FIRST, second=SECOND):
    with torch.no_grad():
        return scorer.eval()(first, second)


def count_passes(scorer):
    """A list that grows by the number of a layer, counted from 0, at each pass through its first part."""
    passes = []
    for number, layer in enumerate(layer_stack(scorer.plm)):
        part = next(each for each in layer.modules() if not list(each.children()))
        part.register_forward_pre_hook(lambda *_, number=number: passes.append(number))
    return passes


def gradients(scorer):
    scorer(FIRST, SECOND).square().sum().backward()
    return {name: each.grad for name, each in scorer.named_parameters() if each.requires_grad}


def test_long_texts_are_cut_and_empty_profiles_read(tiny_plm):
    scorer = PairScorer(TextEncoder(str(tiny_plm)), 0, 12).eval()
    with torch.no_grad():
        scores = scorer(["red " * 100, "", "red"], ["milk", "bread " * 100, "milk"])
    assert torch.isfinite(scores).all()
    assert scorer([], []).shape == (0,)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_pair_of_empty_texts_has_a_score(family, tiny_family):
    scorer = scorer_of(tiny_family(family))
    together, alone = scores(scorer, ["", "red apple"], ["", "milk"]), scores(scorer, [""], [""])
    assert torch.allclose(together[:1], alone, atol=1e-5)


@pytest.mark.parametrize(("family", "known"), [("bert", 32), ("roberta", 31), ("gpt2", 32)])
def test_pairs_of_more_tokens_than_positions_are_refused(family, known, tiny_family):
    long = ["red " * 50]
    assert torch.isfinite(scores(scorer_of(tiny_family(family), max_tokens=known), long, long)).all()
    with pytest.raises(ConfigError, match=rf"model\.max_tokens: .*positions for {known} tokens"):
        scorer_of(tiny_family(family), max_tokens=known + 1)


def test_a_pair_is_pooled_as_the_encoder_pools(tiny_plm):
    scorers = [PairScorer(TextEncoder(str(tiny_plm), pooling=pooling), 0, 12).eval() for pooling in ("mean", "last")]
    scorers[1].head.load_state_dict(scorers[0].head.state_dict())
    with torch.no_grad():
        mean, last = (scorer(["red apple"], ["milk"]) for scorer in scorers)
    assert not torch.allclose(mean, last)


@pytest.fixture
def two_types(tmp_path):
    """A BERT whose tokenizer says which of two texts a token belongs to, as BERT's own does."""
    folder = save_tiny(tmp_path / "two_types", "bert")
    whole = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    template = whole["post_processor"]
    end = {"SpecialToken": {"id": "[SEP]", "type_id": 1}}
    template["pair"] = [*template["single"], {"Sequence": {"id": "B", "type_id": 1}}, end]
    (folder / "tokenizer.json").write_text(json.dumps(whole), encoding="utf-8")
    settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    settings["model_input_names"] = ["input_ids", "token_type_ids", "attention_mask"]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return folder


def test_a_model_that_tells_two_texts_apart_is_told_them(two_types):
    scorer = scorer_of(two_types)
    model, tokenizer = TextEncoder(str(two_types)).load()
    tokens = tokenizer(FIRST, SECOND, padding=True, return_tensors="pt")
    assert tokens["token_type_ids"].max() == 1
    with torch.no_grad():
        hidden_XWD = model(**tokens).last_hidden_state
        mask_XW1 = tokens["attention_mask"].unsqueeze(-1)
        expected = scorer.head((hidden_XWD * mask_XW1).sum(1) / mask_XW1.sum(1)).squeeze(-1)
    assert torch.allclose(scores(scorer), expected, atol=1e-5)
    without = scorer_of(two_types)
    with torch.no_grad():
        without.plm.embeddings.token_type_embeddings.weight[1] = without.plm.embeddings.token_type_embeddings.weight[0]
    assert not torch.allclose(scores(without), expected, atol=1e-3)


def test_types_are_kept_from_a_model_that_has_no_vectors_for_them(two_types, tmp_path):
    other = save_tiny(tmp_path / "gpt2", "gpt2")
    plain = scores(scorer_of(other))
    config = json.loads((other / "tokenizer_config.json").read_text(encoding="utf-8"))
    config["model_input_names"] = ["input_ids", "token_type_ids", "attention_mask"]
    (other / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    scorer = scorer_of(other)
    assert "token_type_ids" in scorer._tokenizer("red", "apple")
    assert torch.allclose(scores(scorer), plain, atol=1e-6), "GPT-2 would add the vectors of words 0 and 1"


def test_the_prompt_stands_before_the_pair(tiny_family):
    folder = tiny_family("bert")
    prompted = scores(scorer_of(folder, prompt="blue "))
    assert torch.equal(prompted, scores(scorer_of(folder), [f"blue {text}" for text in FIRST]))
    assert not torch.allclose(prompted, scores(scorer_of(folder)), atol=1e-3)


@pytest.mark.parametrize("trained_layers", [0, 1, 2])
@pytest.mark.parametrize("family", ["bert", "gpt2", "t5"])
def test_gradient_checkpointing_recomputes_and_changes_no_gradient(family, trained_layers, tiny_family):
    runtime = Runtime(gradient_checkpointing=True)
    plain, recomputing = (
        scorer_of(tiny_family(family), trained_layers, runtime=each).train() for each in (None, runtime)
    )
    for module in (*plain.modules(), *recomputing.modules()):  # only a model in training recomputes
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if isinstance(getattr(module, "dropout", None), float):
            module.dropout = 0.0
    plain_passes, recomputing_passes = count_passes(plain), count_passes(recomputing)
    expected, found = gradients(plain), gradients(recomputing)
    assert sorted(plain_passes) == [0, 1, 2]
    twice = list(range(3 - trained_layers, 3))  # trained layers, again on the way back
    assert sorted(recomputing_passes) == sorted([0, 1, 2, *twice])
    assert expected.keys() == found.keys()
    for name, each in expected.items():
        assert torch.allclose(each, found[name], atol=1e-4 * float(each.abs().max()) + 1e-6), name


def test_the_encoder_keeps_its_untrained_weights(tiny_family):
    encoder = TextEncoder(str(tiny_family("bert")))
    before = encoder.encode(FIRST)
    scorer = PairScorer(encoder, 2, 24)
    optimizer = torch.optim.SGD(scorer.parameters(), lr=1.0)
    for _ in range(2):
        scorer(FIRST, SECOND).sum().backward()
        optimizer.step()
    assert torch.equal(encoder.encode(FIRST), before)
    trained = dict(scorer.plm.named_parameters())
    untrained = dict(encoder.load()[0].named_parameters())
    assert any(not torch.equal(each, trained[name]) for name, each in untrained.items()), "it has been trained"


def test_mixed_precision_trains_it_and_scores_in_fp32(tiny_family):
    scorer = scorer_of(tiny_family("bert"))
    exact = scores(scorer)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = scores(scorer)
        found = gradients(scorer.train())
    assert rough.dtype == torch.float32
    assert not torch.equal(rough, exact), "the language model computes in half precision"
    assert torch.allclose(rough, exact, atol=0.02)
    assert all(each.dtype == torch.float32 and torch.isfinite(each).all() for each in found.values())


@pytest.mark.parametrize("trained_layers", [0, 1])
@pytest.mark.parametrize(
    ("runtime", "named"),
    [
        (Runtime(dtype="bfloat16"), r"encoder\.runtime\.dtype.*trainer\.precision=bf16-mixed"),
        (Runtime(dtype="float16"), r"encoder\.runtime\.dtype.*trainer\.precision=bf16-mixed"),
        (Runtime(backend="onnx_int8"), r"encoder\.runtime\.backend"),
    ],
)
def test_a_runtime_that_cannot_train_is_refused(runtime, named, trained_layers):
    encoder = TextEncoder("no/such/folder", runtime=runtime)  # refused before anything is loaded
    with pytest.raises(ConfigError, match=named):
        PairScorer(encoder, trained_layers, 24)
