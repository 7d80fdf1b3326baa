"""Tiny language models of every family, built from configs; nothing is downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

WORDS = ["red", "green", "blue", "soft", "hard", "apple", "pear", "plum", "bread", "milk"]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
VOCABULARY = 28
FAMILIES = ["bert", "roberta", "deberta", "deberta-v2", "gpt2", "llama", "qwen2", "t5"]
DECODERS = ["gpt2", "llama", "qwen2"]
NARROW = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32, "max_position_embeddings": 32}
SIZES: dict[str, dict[str, Any]] = {
    "bert": NARROW,
    "roberta": NARROW,
    "deberta": {**NARROW, "relative_attention": True, "pos_att_type": ["c2p", "p2c"]},
    "deberta-v2": {**NARROW, "relative_attention": True, "pos_att_type": ["c2p", "p2c"]},
    "gpt2": {"n_embd": 16, "n_head": 2, "n_positions": 32},
    "llama": {**NARROW, "num_key_value_heads": 1},
    "qwen2": {**NARROW, "num_key_value_heads": 1},
    "t5": {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_heads": 2, "decoder_start_token_id": 0},
}


def word_tokenizer(side: str = "right", pad_token: str | None = "[PAD]", frame: bool = True):
    """One token a word; `frame` puts [CLS] and [SEP] around the text."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: place for place, word in enumerate([*SPECIAL, *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    if frame:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=pad_token, unk_token="[UNK]", eos_token="[SEP]", padding_side=side
    )


def letter_tokenizer(side: str = "right"):
    """Qwen's own class, one token a letter: transformers gives its models no other."""
    from transformers import Qwen2Tokenizer

    letters = ["<|endoftext|>", "\u0120", *"abcdefghijklmnopqrstuvwxyz"]
    return Qwen2Tokenizer({letter: place for place, letter in enumerate(letters)}, [], padding_side=side)


def save_tiny(folder: Path, family: str, layers: int = 3, **tokenizer: Any) -> Path:
    """A model of the family with random weights and its tokenizer, saved as any Hugging Face folder is."""
    from transformers import AutoConfig, AutoModel

    torch.manual_seed(0)
    count = {"gpt2": "n_layer", "t5": "num_layers"}.get(family, "num_hidden_layers")
    config = AutoConfig.for_model(family, vocab_size=VOCABULARY, pad_token_id=0, **{count: layers}, **SIZES[family])
    model = AutoModel.from_config(config)
    with torch.no_grad():  # families start with weights so small that a wrong vector hides behind rounding
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    if family == "qwen2":
        letter_tokenizer(**tokenizer).save_pretrained(folder)
    else:
        word_tokenizer(**{"frame": family not in DECODERS, **tokenizer}).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_family(tmp_path_factory: pytest.TempPathFactory):
    """`tiny_family(name)`: the folder of a tiny model of that family with three layers."""
    made: dict[str, Path] = {}

    def folder(family: str) -> Path:
        if family not in made:
            made[family] = save_tiny(tmp_path_factory.mktemp(family), family)
        return made[family]

    return folder
