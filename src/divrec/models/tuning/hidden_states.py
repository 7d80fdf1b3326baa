"""Hidden states below a layer, for all texts: computed once, kept on disk in half precision by content.

Shapes: T texts, S tokens of all of them together, R texts of a batch, W tokens, D width of the model.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from divrec.models.encoder import TextEncoder
from divrec.models.encoder.packed import packed_linears
from divrec.models.tuning.layers import layer_stack
from divrec.models.tuning.ragged import Ragged
from divrec.storage import replacing

logger = logging.getLogger(__name__)

_LARGEST_HALF = torch.finfo(torch.float16).max


def hidden_states(encoder: TextEncoder, model: nn.Module, ids: Ragged, texts: Sequence[str], first: int) -> Ragged:
    """What enters layer `first` for each text, from the encoder's cache folder where it is known.

    Args:
        encoder: whose model it is; without a cache folder nothing is kept on disk.
        model: whole and untrained.
        ids: token ids of the texts.
        texts: the texts.
        first: number of the layer, counted from 0.
    """
    if encoder.cache is None:
        return Ragged(_compute(encoder, model, ids, first), ids.lengths_T)
    target = encoder.cache / f"hidden-{encoder.digest(texts, 'hidden', str(first))}.safetensors"
    if not target.is_file():
        with replacing(target) as temporary:
            save_file({"states": _compute(encoder, model, ids, first)}, temporary)
    return Ragged(load_file(target)["states"], ids.lengths_T)


@torch.no_grad()
def _compute(encoder: TextEncoder, model: nn.Module, ids: Ragged, first: int) -> Tensor:
    logger.info("Computing the hidden states below layer %d of %s", first, encoder.name)
    captured: list[Tensor] = []
    handle = layer_stack(model)[first].register_forward_pre_hook(_capturing(captured), with_kwargs=True)
    parts: dict[int, Tensor] = {}
    model.eval()
    try:
        with encoder.moved(model) as device, packed_linears(model):
            for texts_R in torch.split(ids.lengths_T.argsort(), encoder.batch_size):
                ids_RW, mask_RW = ids(texts_R)
                captured.clear()
                model(input_ids=ids_RW.to(device), attention_mask=mask_RW.to(device))
                for text, states_WD, mask_W in zip(texts_R.tolist(), captured[0].cpu(), mask_RW, strict=True):
                    parts[text] = states_WD[mask_W.bool()]
    finally:
        handle.remove()
    return _halved(torch.cat([parts[text] for text in range(len(parts))]))


def _capturing(captured: list[Tensor]) -> Any:  # noqa: ANN401 - a hook
    def hook(_: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        captured.append(arguments[0] if arguments else named["hidden_states"])

    return hook


def _halved(states_SD: Tensor) -> Tensor:
    if states_SD.abs().max() < _LARGEST_HALF:
        return states_SD.half()
    logger.warning("hidden states beyond the range of half precision are kept in single: twice the disk space")
    return states_SD.float()


def layer_extras(model: nn.Module, ids: Ragged) -> int | None:
    """How many values the model's layers return beside their hidden states; None = a layer returns no tuple."""
    answers: list[Any] = []
    handle = layer_stack(model)[0].register_forward_hook(lambda _module, _arguments, output: answers.append(output))
    try:
        with torch.no_grad():
            ids_RW, mask_RW = ids(torch.zeros(1, dtype=torch.long))
            model(input_ids=ids_RW, attention_mask=mask_RW)
    finally:
        handle.remove()
    return len(answers[0]) - 1 if isinstance(answers[0], tuple) else None
