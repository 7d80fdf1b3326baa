"""Every tuning on tiny models: where it starts, what it trains, what it saves."""

from __future__ import annotations

import logging

import pytest
import torch
from safetensors.torch import load_file

from divrec.errors import ConfigError
from divrec.models import Adapter, Frozen, Full, Ia3, Lora, Prefix, Runtime, TableSettings, TextEncoder, TopLayers
from divrec.models.encoder import text_vectors
from models.conftest import FAMILIES

TEXTS = ["red apple", "green", "soft bread and more blue milk", "hard plum", "", "blue"]
LIVE = TableSettings(refresh="live", live_texts=None, chunk=4)
TUNINGS = {
    "full": lambda: Full(LIVE),
    "top_layers": lambda: TopLayers(2, True, LIVE),
    "top_layers_uncached": lambda: TopLayers(2, False, LIVE),
    "lora": lambda: Lora(table=LIVE),
    "top_layers_lora": lambda: Lora(table=LIVE, cached_below_top=2),
    "ia3": lambda: Ia3(table=LIVE),
    "top_layers_ia3": lambda: Ia3(table=LIVE, cached_below_top=2),
    "adapter": lambda: Adapter(4, LIVE),
    "top_layers_adapter": lambda: Adapter(4, LIVE, 2),
}
GOAL = torch.randn(len(TEXTS), 4, generator=torch.Generator().manual_seed(3))


def build(tuning, folder, cache, runtime=None):
    torch.manual_seed(0)
    encoder = TextEncoder(str(folder), runtime=runtime)
    whitening, vectors_TW = text_vectors(encoder, TEXTS, 4, cache)
    return tuning(encoder, TEXTS, whitening, vectors_TW)


def gradients(tower):
    (tower() * GOAL).sum().backward()
    return {name: each.grad for name, each in tower.reader.named_parameters() if each.requires_grad}


EVERY_FAMILY = ["top_layers", "lora", "adapter", "top_layers_ia3"]


@pytest.mark.parametrize(
    ("name", "family"),
    [(name, family) for name in TUNINGS for family in (FAMILIES if name in EVERY_FAMILY else ["bert", "gpt2"])],
)
def test_before_its_first_step_a_tuned_model_gives_the_frozen_vectors(name, family, tiny_family, tmp_path):
    folder = tiny_family(family)
    tower = build(TUNINGS[name](), folder, tmp_path).eval()
    frozen_TW = build(Frozen(), folder, tmp_path)()
    # whitening magnifies the rounding of hidden states in half precision
    assert torch.allclose(tower(), frozen_TW, atol=1e-2 if tower.reader.__class__.__name__ == "TopOfModel" else 1e-4)
    assert any(each is not None and each.abs().sum() > 0 for each in gradients(tower).values())


@pytest.mark.parametrize("family", FAMILIES)
def test_layers_on_stored_states_get_the_gradient_they_get_above_the_whole_model(
    family, tiny_family, tmp_path, monkeypatch
):
    monkeypatch.setattr("divrec.models.tuning.hidden_states._LARGEST_HALF", 0.0)  # stored in single precision: exact
    folder = tiny_family(family)
    stored = list(gradients(build(TopLayers(2, True, LIVE), folder, tmp_path).eval()).values())
    whole = list(gradients(build(TopLayers(2, False, LIVE), folder, tmp_path).eval()).values())
    assert len(stored) == len(whole)
    for one, other in zip(stored, whole, strict=True):
        assert torch.allclose(one, other, atol=1e-4 * float(other.abs().max()) + 1e-6)
    assert any(each.abs().max() > 1e-3 for each in whole)


WIDTH, LAYERS, INNER = 16, 3, 32
COUNTS = {
    "lora": 8 * (WIDTH + WIDTH) * 2 * LAYERS,  # rank x (in + out), for query and value
    "top_layers_lora": 8 * (WIDTH + WIDTH) * 2 * 2,
    "ia3": (WIDTH + WIDTH + WIDTH + INNER) * LAYERS,  # key, value, and the inputs of both output projections
    "adapter": 2 * (WIDTH * 4 + 4 + 4 * WIDTH + WIDTH) * LAYERS,
    "top_layers_adapter": 2 * (WIDTH * 4 + 4 + 4 * WIDTH + WIDTH) * 2,
    "top_layers": 2 * (4 * (WIDTH * WIDTH + WIDTH) + 2 * WIDTH * INNER + INNER + WIDTH + 4 * WIDTH),
}


@pytest.mark.parametrize("name", COUNTS)
def test_the_count_of_trained_weights_is_what_the_method_says(name, tiny_family, tmp_path):
    assert build(TUNINGS[name](), tiny_family("bert"), tmp_path).trainable_plm_parameters == COUNTS[name]


def test_a_frozen_model_trains_nothing(tiny_family, tmp_path):
    tower = build(Frozen(), tiny_family("bert"), tmp_path)
    assert tower.trainable_plm_parameters == 0
    assert not tower.state_dict()
    assert torch.equal(tower(torch.tensor([3, 1]), torch.tensor([1])), tower()[[3, 1]])


@pytest.mark.parametrize("family", ["bert", "roberta", "gpt2", "llama", "qwen2"])
def test_a_prefix_trains_keys_and_values_only_and_ignores_padding(family, tiny_family, tmp_path):
    tower = build(Prefix(3, LIVE), tiny_family(family), tmp_path).eval()
    together, alone = tower(), torch.cat([tower(torch.tensor([text])) for text in range(len(TEXTS))])
    assert torch.allclose(together, alone, atol=1e-3)
    heads = 1 if family in ("llama", "qwen2") else 2
    assert tower.trainable_plm_parameters == 3 * LAYERS * 2 * heads * WIDTH // 2
    assert all(each.abs().sum() > 0 for each in gradients(tower).values())


@pytest.mark.parametrize("name", TUNINGS)
def test_it_learns_and_what_it_saves_is_what_it_trained(name, tiny_family, tmp_path):
    tower = build(TUNINGS[name](), tiny_family("bert"), tmp_path).eval()  # without the noise of dropout
    optimizer = torch.optim.Adam([each for each in tower.parameters() if each.requires_grad], lr=3e-3)
    losses = []
    for _ in range(8):
        loss = (tower() - GOAL).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    saved = tower.state_dict()
    trained = {key for key, each in tower.named_parameters() if each.requires_grad}
    assert set(saved) == trained | {"whitening.mean_D", "whitening.projection_DW"}
    again = build(TUNINGS[name](), tiny_family("bert"), tmp_path)
    again.load_state_dict(saved)
    with torch.no_grad():
        assert torch.allclose(again.eval()(), tower.eval()(), atol=1e-5)


def test_weights_that_lack_a_trained_tensor_are_refused(tiny_family, tmp_path):
    tower = build(Lora(table=LIVE), tiny_family("bert"), tmp_path)
    saved = tower.state_dict()
    del saved[next(key for key in saved if "lora_A" in key)]
    with pytest.raises(RuntimeError, match="Missing key"):
        tower.load_state_dict(saved)


def test_training_leaves_the_encoder_as_it_was(tiny_family, tmp_path):
    encoder = TextEncoder(str(tiny_family("bert")))
    whitening, vectors_TW = text_vectors(encoder, TEXTS, 4, tmp_path)
    tower = Full(LIVE)(encoder, TEXTS, whitening, vectors_TW)
    with torch.no_grad():
        for each in tower.plm.parameters():
            each.add_(1)
    assert torch.allclose(whitening(encoder.encode(TEXTS)), vectors_TW, atol=1e-5)


def test_hidden_states_are_computed_once_and_kept_in_half_precision(tiny_family, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    for _ in range(2):
        build(TopLayers(2, True, LIVE), tiny_family("bert"), tmp_path)
    assert caplog.text.count("Computing the hidden states below layer 1") == 1
    build(TopLayers(1, True, LIVE), tiny_family("bert"), tmp_path)
    assert caplog.text.count("Computing the hidden states") == 2
    states = [load_file(file)["states"] for file in tmp_path.glob("hidden-*.safetensors")]
    words = sum(len(text.split()) + 2 for text in TEXTS)
    assert [(each.dtype, tuple(each.shape)) for each in states] == [(torch.float16, (words, WIDTH))] * 2


@pytest.mark.parametrize("family", ["bert", "gpt2", "t5"])
@pytest.mark.parametrize("name", ["full", "lora", "top_layers", "top_layers_uncached"])
def test_gradient_checkpointing_changes_no_gradient(name, family, tiny_family, tmp_path):
    plain = gradients(build(TUNINGS[name](), tiny_family(family), tmp_path).eval())
    tower = build(TUNINGS[name](), tiny_family(family), tmp_path, Runtime(gradient_checkpointing=True))
    # only a model in training recomputes; its dropout is switched off to compare
    for module in tower.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        for attribute in ("attention_dropout", "dropout"):  # of an attention: Llama's, T5's
            if isinstance(getattr(module, attribute, None), float):
                setattr(module, attribute, 0.0)
    recomputed = gradients(tower)
    for key in plain:
        assert torch.allclose(plain[key], recomputed[key], atol=1e-4 * float(plain[key].abs().max()) + 1e-6), key


@pytest.mark.parametrize(
    ("tuning", "family", "named"),
    [
        (TopLayers(4, True), "bert", r"tuning\.layers.*3 layers"),
        (TopLayers(4, False), "bert", r"tuning\.layers.*3 layers"),
        (Lora(cached_below_top=4), "bert", r"tuning\.cached_below_top.*3 layers"),
        (Prefix(28), "bert", r"encoder\.max_tokens.*positions for 4 tokens.*texts of 8"),
        (Lora(targets=["no_such_module"]), "bert", r"tuning\.targets"),
        (Prefix(3), "t5", "takes no prefix"),
        (Prefix(3), "deberta", "takes no prefix"),
    ],
)
def test_a_method_that_does_not_fit_the_model_is_refused(tuning, family, named, tiny_family, tmp_path):
    with pytest.raises(ConfigError, match=named):
        build(tuning, tiny_family(family), tmp_path)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: Lora(rank=0), r"tuning\.rank"),
        (lambda: Lora(dropout=2), r"tuning\.dropout"),
        (lambda: Lora(dropout=-0.1), r"tuning\.dropout"),
        (lambda: Lora(dropout=float("nan")), r"tuning\.dropout"),
        (lambda: Lora(cached_below_top=0), r"tuning\.cached_below_top"),
        (lambda: Adapter(cached_below_top=1.5), r"tuning\.cached_below_top"),
        (lambda: TopLayers(0), r"tuning\.layers"),
        (lambda: TopLayers(0, cached=False), r"tuning\.layers"),
        (lambda: Adapter(width=0), r"tuning\.width"),
        (lambda: Prefix(length=0), r"tuning\.length"),
        (lambda: TableSettings(refresh="often"), r"tuning\.table\.refresh"),
        (lambda: TableSettings(refresh=0), r"tuning\.table\.refresh"),
        (lambda: TableSettings(live_texts=0), r"tuning\.table\.live_texts"),
        (lambda: TableSettings(chunk=0), r"tuning\.table\.chunk"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(make, named):
    with pytest.raises(ConfigError, match=named):
        make()


def test_an_encoder_that_cannot_train_is_refused(tiny_family, tmp_path):
    encoder = TextEncoder(str(tiny_family("bert")))
    whitening, vectors_TW = text_vectors(encoder, TEXTS, 4, tmp_path)
    int8 = TextEncoder(str(tiny_family("bert")), runtime=Runtime(backend="onnx_int8"))
    with pytest.raises(ConfigError, match=r"encoder\.runtime\.backend"):
        Lora()(int8, TEXTS, whitening, vectors_TW)


def test_a_prefix_with_gradient_checkpointing_is_refused(tiny_family, tmp_path):
    with pytest.raises(ConfigError, match=r"encoder\.runtime\.gradient_checkpointing"):
        build(Prefix(3), tiny_family("bert"), tmp_path, Runtime(gradient_checkpointing=True))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", ["full", "top_layers", "top_layers_uncached"])
def test_weights_in_half_precision_are_not_trained(name, dtype, tiny_family, tmp_path):
    with pytest.raises(ConfigError, match=r"encoder\.runtime\.dtype.*float32"):
        build(TUNINGS[name](), tiny_family("bert"), tmp_path, Runtime(dtype=dtype))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("family", ["bert", "gpt2", "llama", "t5"])
@pytest.mark.parametrize("name", ["lora", "top_layers_lora", "ia3", "adapter", "prefix"])
def test_added_weights_are_trained_in_full_precision_beside_half(name, family, dtype, tiny_family, tmp_path):
    if name == "prefix" and family == "t5":
        pytest.skip("T5 takes no prefix")
    tuning = Prefix(3, LIVE) if name == "prefix" else TUNINGS[name]()
    tower = build(tuning, tiny_family(family), tmp_path, Runtime(dtype=dtype))
    trained = [each for each in tower.reader.parameters() if each.requires_grad]
    kept = {each.dtype for each in tower.reader.parameters() if not each.requires_grad}
    assert {each.dtype for each in trained} == {torch.float32}
    assert getattr(torch, dtype) in kept
    before = [each.detach().clone() for each in trained]
    optimizer = torch.optim.AdamW(trained, lr=1e-4)
    for _ in range(3):
        optimizer.zero_grad()
        (tower() * GOAL).sum().backward()
        optimizer.step()
    assert all(each.isfinite().all() for each in trained)
    assert any((each != old).all() for each, old in zip(trained, before, strict=True))
