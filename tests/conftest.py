"""Small catalogues, batches and language models that the rooms' tests share; nothing is downloaded."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("WANDB_SILENT", "true")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import pytest
import torch

from divrec.batch import Batch, Catalogue

ITEMS, CATEGORIES, ROWS, LENGTH = 60, 6, 8, 5


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture
def catalogue() -> Catalogue:
    """60 items in 6 categories; every tenth belongs to two of them."""
    generator = torch.Generator().manual_seed(1)
    categories = torch.stack([torch.arange(ITEMS) % CATEGORIES, (torch.arange(ITEMS) + 1) % CATEGORIES], dim=1)
    weights = torch.tensor([1.0, 0.0]).repeat(ITEMS, 1)
    weights[::10] = 0.5
    return Catalogue(
        vectors_ND=torch.nn.functional.normalize(torch.randn(ITEMS, 12, generator=generator), dim=-1),
        categories_NJ=categories,
        category_weights_NJ=weights,
        category_count=CATEGORIES,
        counts_N=torch.randint(0, 50, (ITEMS,), generator=generator),
    )


@pytest.fixture
def make_batch() -> Callable[..., Batch]:
    """A batch of random histories: one query a row, all events seen, two targets a query."""

    def make(rows: int = ROWS, length: int = LENGTH, seed: int = 0, dtype: torch.dtype = torch.float32) -> Batch:
        generator = torch.Generator().manual_seed(seed)
        shuffled = torch.stack([torch.randperm(ITEMS, generator=generator) for _ in range(rows)])
        items, targets = shuffled[:, :length], shuffled[:, length : length + 2]
        return Batch(
            users_B=torch.arange(rows),
            items_BL=items,
            groups_BL=torch.arange(length).expand(rows, length) // 2,
            events_BL=torch.zeros(rows, length, dtype=torch.long),
            query_rows_Q=torch.arange(rows),
            query_groups_Q=torch.full((rows,), (length - 1) // 2),
            seen_QS=items,
            history_QS=torch.ones(rows, length, dtype=dtype),
            target_queries_P=torch.arange(rows).repeat_interleave(2),
            target_items_P=targets.flatten(),
            target_values_P=torch.ones(2 * rows, dtype=dtype),
        )

    return make


@pytest.fixture(scope="session")
def tiny_plm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of two narrow layers and a word tokenizer, saved as any Hugging Face folder is."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("tiny_plm")
    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        *["red", "green", "blue", "soft", "hard", "apple", "pear", "plum", "bread", "milk"],
    ]
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
    )
    BertModel(config).save_pretrained(folder)
    return folder
