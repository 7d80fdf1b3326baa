"""The fast roads give the vectors of the slow one."""

from __future__ import annotations

import logging
import sys

import pytest
import torch

from divrec.errors import ConfigError
from divrec.models import Runtime, TextEncoder
from divrec.models.encoder.packed import packed_linears
from models.conftest import FAMILIES

TEXTS = ["red apple", "green", "soft bread and more blue milk", "hard plum", "blue"]
INT8 = Runtime(backend="onnx_int8")


@pytest.mark.parametrize("family", FAMILIES)
def test_packed_linears_give_the_same_states_and_leave_no_trace(family, tiny_family):
    encoder = TextEncoder(str(tiny_family(family)))
    model, _ = encoder.load()
    tokens = encoder.tokenize(TEXTS)
    with torch.no_grad():
        plain = model(**tokens).last_hidden_state
        with packed_linears(model):
            packed = model(**tokens).last_hidden_state
            changed = [module for module in model.modules() if "forward" in vars(module)]
    assert torch.allclose(plain, packed, atol=1e-4)
    linears = [module for module in model.modules() if type(module) is torch.nn.Linear]
    assert len(changed) == (len(linears) if torch.backends.mkldnn.is_available() else 0)
    assert not [module for module in model.modules() if "forward" in vars(module)]
    assert model(**tokens).last_hidden_state.requires_grad


def test_packed_linears_are_put_back_after_an_error_and_may_be_nested():
    model = torch.nn.Sequential(
        torch.nn.Linear(3, 4), torch.nn.Linear(4, 2, bias=False), torch.nn.Linear(2, 2).double()
    )

    def stop():
        with packed_linears(model), packed_linears(model):
            assert model[1](torch.ones(5, 4)).shape == (5, 2)
            assert model[2](torch.ones(5, 2).double()).dtype == torch.float64
            raise KeyError

    with pytest.raises(KeyError):
        stop()
    assert not [module for module in model if "forward" in vars(module)]


def test_a_missing_onnx_runtime_says_how_to_get_it(monkeypatch, tiny_family):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ConfigError, match=r"encoder\.runtime\.backend.*pip install"):
        TextEncoder(str(tiny_family("bert")), runtime=INT8).encode(TEXTS)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_eight_bits_stay_close_whatever_the_batch(family, tiny_family, caplog):
    for package in ("onnx", "onnxruntime", "onnxscript"):
        pytest.importorskip(package, reason="the optional packages of encoder.runtime.backend=onnx_int8")
    caplog.set_level(logging.INFO)
    encoder = TextEncoder(str(tiny_family(family)), runtime=INT8)
    exact, int8 = TextEncoder(str(tiny_family(family))).encode(TEXTS), encoder.encode(TEXTS)
    assert not torch.equal(exact, int8)
    assert torch.nn.functional.cosine_similarity(exact, int8).min() > 0.97
    longer = encoder.encode([*TEXTS, "red green blue soft hard apple pear plum bread milk"])
    assert torch.nn.functional.cosine_similarity(exact, longer[: len(TEXTS)]).min() > 0.97
    assert caplog.text.count("Exporting") == 1
