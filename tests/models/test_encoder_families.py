"""Every family of language models gives one vector a text, whatever else is in the batch."""

from __future__ import annotations

import json

import pytest
import torch

from divrec.errors import ConfigError
from divrec.models import Runtime, TextEncoder
from divrec.models.encoder import check_trainable_weights
from divrec.models.encoder.pooling import pool_states
from models.conftest import DECODERS, FAMILIES, save_tiny

TEXTS = ["red apple", "green", "soft bread and more blue milk", "hard plum", "", "blue"]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("pooling", ["auto", "mean", "cls", "last"])
def test_a_text_alone_has_the_vector_it_has_in_a_padded_batch(family, pooling, tiny_family):
    encoder = TextEncoder(str(tiny_family(family)), batch_size=6, pooling=pooling)
    together = encoder.encode(TEXTS)
    alone = torch.cat([encoder.encode([text]) for text in TEXTS])
    assert torch.isfinite(together).all()
    assert torch.allclose(together, alone, atol=1e-4)
    different = torch.cdist(together, together) + 10 * torch.eye(len(TEXTS))
    if pooling != "cls":  # the first token of a decoder, or of tiny random encoders, may know little of the others
        assert (different > 1e-3).all()


@pytest.mark.parametrize("family", DECODERS)
@pytest.mark.parametrize("pooling", ["mean", "last"])
def test_the_side_of_the_padding_changes_nothing(family, pooling, tmp_path):
    right, left = (save_tiny(tmp_path / side, family, side=side) for side in ("right", "left"))
    vectors = [TextEncoder(str(folder), pooling=pooling).encode(TEXTS) for folder in (right, left)]
    assert torch.equal(*vectors), "texts are padded on the right, whatever the tokenizer prefers"


@pytest.mark.parametrize("family", DECODERS)
def test_a_decoder_reads_its_last_token_by_itself_and_all_others_their_mean(family, tiny_family):
    assert TextEncoder(str(tiny_family(family))).pooling == "last"


@pytest.mark.parametrize("family", sorted(set(FAMILIES) - set(DECODERS)))
def test_an_encoder_means_its_tokens(family, tiny_family):
    assert TextEncoder(str(tiny_family(family))).pooling == "mean"


def test_a_tokenizer_without_padding_token_is_given_one(tmp_path):
    encoder = TextEncoder(str(save_tiny(tmp_path, "gpt2", pad_token=None)))
    together, alone = encoder.encode(TEXTS[:3]), encoder.encode(TEXTS[1:2])
    assert encoder.load()[1].pad_token == "[SEP]"
    assert torch.allclose(together[1:2], alone, atol=1e-4)


def test_t5_keeps_its_encoder_only(tiny_family):
    model, _ = TextEncoder(str(tiny_family("t5"))).load()
    assert not any("decoder" in name for name, _ in model.named_parameters())


def test_pooling_by_hand():
    hidden_TWD = torch.tensor([[[1.0], [2.0], [9.0]], [[9.0], [4.0], [6.0]]])
    mask_TW = torch.tensor([[1, 1, 0], [0, 1, 1]])
    pooled = {name: pool_states(hidden_TWD, mask_TW, name).flatten().tolist() for name in ("mean", "cls", "last")}
    assert pooled == {"mean": [1.5, 5.0], "cls": [1.0, 4.0], "last": [2.0, 6.0]}


def test_a_prompt_is_read_before_every_text(tiny_family):
    folder = str(tiny_family("bert"))
    assert torch.allclose(
        TextEncoder(folder, prompt="red ").encode(["apple"]), TextEncoder(folder).encode(["red apple"])
    )


def test_half_precision_stays_close(tiny_family):
    folder = str(tiny_family("bert"))
    exact = TextEncoder(folder).encode(TEXTS)
    rough = TextEncoder(folder, runtime=Runtime(dtype="bfloat16")).encode(TEXTS)
    assert rough.dtype == torch.float32
    assert not torch.equal(exact, rough)
    assert torch.nn.functional.cosine_similarity(exact, rough).min() > 0.99


def test_attention_implementations_agree(tiny_family):
    folder = str(tiny_family("llama"))
    eager = TextEncoder(folder, runtime=Runtime(attention="eager"))
    assert torch.allclose(eager.encode(TEXTS), TextEncoder(folder).encode(TEXTS), atol=1e-4)
    assert eager.load()[0].config._attn_implementation == "eager"


CHANGES = {
    "max_tokens": {"max_tokens": 3},
    "pooling": {"pooling": "cls"},
    "prompt": {"prompt": "red "},
    "dtype": {"runtime": Runtime(dtype="bfloat16")},
    "attention": {"runtime": Runtime(attention="eager")},
    "backend": {"runtime": Runtime(backend="onnx_int8")},
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_changes_vectors_changes_the_name_of_the_cached_file(change, tiny_family):
    folder = str(tiny_family("bert"))
    assert TextEncoder(folder, **CHANGES[change]).digest(TEXTS) != TextEncoder(folder).digest(TEXTS)


def test_another_model_and_other_texts_have_other_names(tiny_family):
    bert = TextEncoder(str(tiny_family("bert")))
    digests = {bert.digest(TEXTS), bert.digest(TEXTS[1:]), TextEncoder(str(tiny_family("roberta"))).digest(TEXTS)}
    assert len(digests | {TextEncoder(str(tiny_family("bert")), batch_size=2).digest(TEXTS)}) == 3


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"pooling": "max"}, r"encoder\.pooling"),
        ({"max_tokens": 0}, r"encoder\.max_tokens"),
        ({"batch_size": 0}, r"encoder\.batch_size"),
        ({"model": ""}, r"encoder\.model"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(settings, named):
    with pytest.raises(ConfigError, match=named):
        TextEncoder(**{"model": "some/folder", **settings})


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"dtype": "int3"}, "dtype"),
        ({"backend": "abacus"}, "backend"),
        ({"attention": 3}, "attention"),
        ({"backend": "onnx_int8", "dtype": "bfloat16"}, "dtype"),
        ({"backend": "onnx_int8", "device": "cuda"}, "device"),
        ({"device": "gpu"}, "device"),
        ({"device": "cuda:first"}, "device"),
        ({"device": 0}, "device"),
    ],
)
def test_a_runtime_that_does_not_exist_is_named(settings, named):
    with pytest.raises(ConfigError, match=rf"encoder\.runtime\.{named}: "):
        Runtime(**settings)


@pytest.mark.parametrize("attention", ["spda", "flash_attention_9"])
def test_an_attention_that_does_not_exist_is_named(attention, tiny_family):
    encoder = TextEncoder(str(tiny_family("bert")), runtime=Runtime(attention=attention))
    with pytest.raises(ConfigError, match=rf"encoder\.runtime\.attention: .*got '{attention}'.*sdpa"):
        encoder.encode(TEXTS)


def test_a_missing_model_is_not_blamed_on_its_attention(tmp_path):
    with pytest.raises(ConfigError, match=r"encoder\.model: "):
        TextEncoder(str(tmp_path), runtime=Runtime(attention="spda")).encode(TEXTS)


POSITIONS = {"bert": 32, "roberta": 31, "deberta": 32, "deberta-v2": 32, "gpt2": 32}  # RoBERTa's padding is number 0
LONG = "red " * 50


@pytest.mark.parametrize("family", FAMILIES)
def test_a_text_of_more_tokens_than_positions_is_refused_with_how_many_there_are(family, tiny_family):
    folder, known = str(tiny_family(family)), POSITIONS.get(family)
    if known is None:
        assert torch.isfinite(TextEncoder(folder, max_tokens=50).encode([LONG])).all(), "no end"
        return
    assert torch.isfinite(TextEncoder(folder, max_tokens=known).encode([LONG])).all()
    with pytest.raises(ConfigError, match=rf"encoder\.max_tokens: .*positions for {known} tokens.*{known + 1}"):
        TextEncoder(folder, max_tokens=known + 1).encode([LONG])
    assert torch.isfinite(TextEncoder(folder, max_tokens=50).encode(["red"])).all(), "no text is so long"


def test_texts_are_encoded_where_the_run_trains_or_as_configured(tiny_family, monkeypatch):
    folder = str(tiny_family("bert"))
    assert TextEncoder(folder).device.type == "cpu"
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    encoder = TextEncoder(folder)
    assert encoder.device.type == "cuda"
    encoder.training_device = "cpu"
    assert encoder.device.type == "cpu"
    assert TextEncoder(folder, runtime=Runtime(device="cuda:0")).device == torch.device("cuda:0")
    assert TextEncoder(folder, runtime=Runtime(backend="onnx_int8")).device.type == "cpu"
    with pytest.raises(ConfigError, match=r"encoder\.runtime\.device: there are 1 GPUs here; got 'cuda:3'"):
        TextEncoder(folder, runtime=Runtime(device="cuda:3")).encode(TEXTS)


def test_the_model_lies_on_the_cpu_again_after_encoding(tiny_family, monkeypatch):
    encoder = TextEncoder(str(tiny_family("bert")))
    model, _ = encoder.load()
    places, move = [], model.to
    monkeypatch.setattr(model, "to", lambda place: places.append(str(place)) or move(place))
    assert encoder.encode(TEXTS).device.type == "cpu"
    assert places == ["cpu", "cpu"]


def test_the_device_does_not_change_the_name_of_the_cached_file(tiny_family):
    folder = str(tiny_family("bert"))
    assert TextEncoder(folder, runtime=Runtime(device="cpu")).digest(TEXTS) == TextEncoder(folder).digest(TEXTS)


def test_a_model_that_cannot_be_exported_is_refused(tiny_family, monkeypatch):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")

    def refuse(*_, **__):
        raise NotImplementedError("no such operator")

    monkeypatch.setattr("torch.onnx.export", refuse)
    encoder = TextEncoder(str(tiny_family("bert")), runtime=Runtime(backend="onnx_int8"))
    with pytest.raises(ConfigError, match=r"encoder\.runtime\.backend: .*no such operator.*backend=torch"):
        encoder.encode(TEXTS)


def test_code_that_comes_with_a_model_is_never_run_whatever_the_terminal_says(tmp_path, monkeypatch):
    folder = save_tiny(tmp_path / "model", "bert")
    settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    settings |= {"model_type": "unheard_of", "auto_map": {"AutoConfig": "theirs.Theirs", "AutoModel": "theirs.Theirs"}}
    (folder / "config.json").write_text(json.dumps(settings), encoding="utf-8")
    (folder / "theirs.py").write_text(
        f"open({str(tmp_path / 'was_run')!r}, 'w')\nclass Theirs: ...\n", encoding="utf-8"
    )
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    with pytest.raises(ConfigError, match=r"encoder\.model"):
        TextEncoder(str(folder)).encode(["red"])
    assert not (tmp_path / "was_run").exists()


def test_another_vocabulary_is_another_model(tmp_path):
    folder = save_tiny(tmp_path / "model", "bert")
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.txt").write_text("red\n", encoding="utf-8")
    before = TextEncoder(str(folder)).source.identity()
    (folder / "vocab.txt").write_text("green\n", encoding="utf-8")
    assert TextEncoder(str(folder)).source.identity() != before


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"dtype": "bfloat16"}, r"encoder\.runtime\.dtype.*got 'bfloat16'.*trainer\.precision=bf16-mixed"),
        ({"dtype": "float16"}, r"encoder\.runtime\.dtype.*got 'float16'.*trainer\.precision=bf16-mixed"),
        ({"backend": "onnx_int8"}, r"encoder\.runtime\.backend.*got 'onnx_int8'.*backend=torch"),
        ({"backend": "onnx_int8", "dtype": "float16"}, r"encoder\.runtime\.backend"),
    ],
)
def test_weights_that_cannot_be_trained_are_refused(settings, named):
    with pytest.raises(ConfigError, match=named):
        check_trainable_weights(Runtime(**settings))


def test_single_precision_in_torch_is_trained():
    check_trainable_weights(Runtime())
    check_trainable_weights(Runtime(attention="eager", gradient_checkpointing=True))
    check_trainable_weights(Runtime(dtype="bfloat16"), own=False)
