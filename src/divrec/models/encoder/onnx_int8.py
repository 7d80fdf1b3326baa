"""A language model in 8 bits through ONNX Runtime: for encoding on CPUs.

Shapes: T texts of a batch, W tokens, D width of the model.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from divrec.errors import ConfigError
from divrec.models.encoder.pooling import pool_states

logger = logging.getLogger(__name__)

INPUTS = ("input_ids", "attention_mask")


def quantized(model: nn.Module, pooling: str) -> Callable[[dict[str, Tensor]], Tensor]:
    """A function from a batch of tokens to pooled vectors (T, D).

    Weights are quantized per channel and in 7 bits, which keeps the sums of products of older CPUs from overflowing;
    activations in 8 bits, batch by batch.

    Args:
        model: in fp32.
        pooling: mean, cls or last.

    Raises:
        ConfigError: if the optional packages are missing, or the model cannot be exported.
    """
    try:
        import onnx  # noqa: F401 - the quantization needs it
        from onnxruntime import InferenceSession, SessionOptions
    except ImportError as error:
        raise ConfigError(
            f"needs the package {error.name}",
            where="encoder.runtime.backend",
            got="onnx_int8",
            mend="Run `pip install divrec[onnx]`, or choose encoder.runtime.backend=torch.",
        ) from error
    options = SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder:
        try:
            session = InferenceSession(_export(model, Path(folder)), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # whatever exporter, quantization and runtime say to a family that they do not know
            lines = str(error).splitlines() or [type(error).__name__]
            raise ConfigError(
                f"this language model cannot be turned into 8 bits ({lines[0]})",
                where="encoder.runtime.backend",
                got="onnx_int8",
                mend="Choose encoder.runtime.backend=torch, or `pip install divrec[onnx]` if a package is missing.",
            ) from error
    known = {node.name for node in session.get_inputs()}

    def vectors(tokens: dict[str, Tensor]) -> Tensor:
        arrays = {name: tensor.numpy() for name, tensor in tokens.items() if name in known}
        (hidden_TWD,) = session.run(None, arrays)
        return pool_states(torch.from_numpy(hidden_TWD), tokens["attention_mask"], pooling)

    return vectors


class _HiddenStates(nn.Module):
    """The model with tensors in and a tensor out, as an export wants it."""

    def __init__(self, model: Any) -> None:  # noqa: ANN401
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        hidden: Tensor = self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return hidden


def _export(model: nn.Module, folder: Path) -> str:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    logger.info("Exporting the language model and quantizing it to 8 bits")
    exact, small = folder / "exact.onnx", folder / "small.onnx"
    example = (torch.ones(2, 8, dtype=torch.long), torch.ones(2, 8, dtype=torch.long))
    free = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _HiddenStates(model).eval(),
            example,
            str(exact),
            input_names=list(INPUTS),
            output_names=["hidden"],
            dynamic_shapes={name: free for name in INPUTS},
            dynamo=True,
            verbose=False,
            external_data=False,
        )
        quantize_dynamic(exact, small, per_channel=True, reduce_range=True, weight_type=QuantType.QInt8)
    return str(small)
