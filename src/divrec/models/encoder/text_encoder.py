"""Texts through a pretrained language model: found by package, folder, hub id or GGUF file; pooled; cached by content.

Shapes: T texts, W tokens, D width of the model.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from divrec.errors import ConfigError, check_number
from divrec.models.encoder.loading import Runtime, Source, load_model
from divrec.models.encoder.packed import packed_linears
from divrec.models.encoder.pooling import check_pooling, natural_pooling, pool
from divrec.models.encoder.positions import check_positions
from divrec.models.encoder.progress import has_terminal
from divrec.models.encoder.tokens import padded, token_ids
from divrec.storage import replacing

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

logger = logging.getLogger(__name__)


class TextEncoder:
    """A pretrained language model that turns texts into vectors. Cheap to construct: weights load at first use.

    Encoders (BERT, RoBERTa, DeBERTa, MiniLM, E5), decoders (GPT-2, Llama, Qwen) and the encoder side of
    encoder-decoders (T5) load through transformers' Auto classes.

    Args:
        model: folder, hub id, or GGUF file. Code that comes with a model is never run.
        max_tokens: longer texts are cut.
        batch_size: texts encoded at once.
        revision: of a hub id.
        pooling: `mean`, `cls`, `last` token, or `auto` = last for decoders, mean for all others.
        prompt: put before every text, such as "query: " for E5.
        runtime: number format, attention implementation, backend; None = fp32 in torch.

    Attributes:
        cache: folder of vectors and hidden states, named by content; None until somebody sets it.
        tokens_key: the config key of `max_tokens`, for messages.
        training_device: where the run trains, as torch names it; None until somebody sets it: a GPU if there is one.
    """

    def __init__(
        self,
        model: str,
        max_tokens: int = 64,
        batch_size: int = 32,
        revision: str = "main",
        pooling: str = "auto",
        prompt: str = "",
        runtime: Runtime | None = None,
    ) -> None:
        if not isinstance(model, str) or not model:
            raise ConfigError("needs a folder, a hub id or a GGUF file", where="encoder.model", got=model)
        check_number("encoder.max_tokens", max_tokens, least=1, whole=True)
        check_number("encoder.batch_size", batch_size, least=1, whole=True)
        check_pooling(pooling)
        self.model, self.revision, self.prompt = model, revision, prompt
        self.max_tokens, self.batch_size = max_tokens, batch_size
        self.runtime = runtime or Runtime()
        self.cache: Path | None = None
        self.tokens_key = "encoder.max_tokens"
        self.training_device: str | None = None
        self._pooling = pooling
        self._loaded: tuple[Any, PreTrainedTokenizerBase] | None = None
        self._int8: Callable[[dict[str, Tensor]], Tensor] | None = None

    @property
    def source(self) -> Source:
        """Where the weights lie."""
        return Source(self.model, self.revision)

    @property
    def name(self) -> str:
        """Folder, file or hub id, short enough for a table."""
        path = Path(self.model)
        return "/".join(path.parts[-2:]) if path.exists() else self.model

    @property
    def pooling(self) -> str:
        """mean, cls or last; loads the model where `auto` was configured."""
        return natural_pooling(self.load()[0].config) if self._pooling == "auto" else self._pooling

    @property
    def device(self) -> torch.device:
        """Where texts are encoded with the frozen model.

        Raises:
            ConfigError: it is a GPU that is not there.
        """
        if self.runtime.backend != "torch":
            return torch.device("cpu")
        configured = self.runtime.device
        device = torch.device(configured or self.training_device or ("cuda" if torch.cuda.is_available() else "cpu"))
        if configured and device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
            raise ConfigError(
                f"there are {torch.cuda.device_count()} GPUs here",
                where="encoder.runtime.device",
                got=configured,
                mend="Set it to null, or to cpu.",
            )
        return device

    @contextmanager
    def moved(self, model: Any) -> Iterator[torch.device]:  # noqa: ANN401 - a transformers model
        """Inside the block the model lies on `device`, which is given; afterwards on the CPU, as it came."""
        device = self.device
        model.to(device)
        try:
            yield device
        finally:
            model.to("cpu")

    def load(self) -> tuple[Any, PreTrainedTokenizerBase]:
        """The transformers model and its tokenizer.

        Raises:
            ConfigError: if it cannot be loaded.
        """
        if self._loaded is None:
            self._loaded = load_model(self.source, self.runtime, self.cache)
        return self._loaded

    def hand_over(self) -> tuple[Any, PreTrainedTokenizerBase]:
        """`load`, for a caller who is going to train the model: this encoder forgets it and would load it anew.

        In training the model recomputes activations where `Runtime.gradient_checkpointing` asks for it.
        """
        model, tokenizer = self.load()
        self._loaded = None
        if self.runtime.gradient_checkpointing:
            # transformers has renamed it in the course of its version 5
            switch = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
            switch({"use_reentrant": False})
            model.disable_input_require_grads()  # else gradients go through frozen layers, too, down to the words
        return model, tokenizer

    def token_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text after the prompt, without padding.

        Raises:
            ConfigError: the model has no positions for the longest of them.
        """
        model, tokenizer = self.load()
        rows = token_ids(tokenizer, [self.prompt + text for text in texts], self.max_tokens)
        check_positions(model, max(map(len, rows), default=0), self.tokens_key, self.max_tokens)
        return rows

    def tokenize(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """Token ids and mask of a batch, padded to its longest text."""
        return self._batch(self.token_ids(texts))

    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> Tensor:
        """Pooled vectors (T, D) in fp32, on the CPU, in the order of the texts; sorted by length inside."""
        from rich.progress import track

        model, _ = self.load()
        rows = self.token_ids(texts)
        order = sorted(range(len(rows)), key=lambda index: len(rows[index]))
        chunks = [order[start : start + self.batch_size] for start in range(0, len(order), self.batch_size)]
        vectors_TD = torch.zeros(len(rows), model.config.hidden_size)
        vectors = self._vectors()
        with self.moved(model) as device, packed_linears(model):
            for chunk in track(chunks, description=f"Encoding {len(texts):,} texts", disable=not has_terminal()):
                tokens = self._batch([rows[index] for index in chunk])
                vectors_TD[chunk] = vectors({name: each.to(device) for name, each in tokens.items()}).float().cpu()
        return vectors_TD

    def encode_cached(self, texts: Sequence[str], folder: Path) -> Tensor:
        """`encode`, from a file named by the content of model and texts where one exists."""
        from safetensors.torch import load_file, save_file

        target = folder / f"{self.digest(texts)}.safetensors"
        if not target.is_file():
            logger.info("Encoding %d distinct texts with %s", len(texts), self.name)
            vectors_TD = self.encode(texts)
            with replacing(target) as temporary:
                save_file({"vectors": vectors_TD}, temporary)
        return load_file(target)["vectors"]

    def digest(self, texts: Sequence[str], *more: str) -> str:
        """Hash of everything that decides the vectors of these texts, and of whatever else is given."""
        digest = hashlib.blake2b(digest_size=16)
        runtime = (self.runtime.dtype, str(self.runtime.attention), self.runtime.backend)
        settings = (str(self.max_tokens), self._pooling, self.prompt, *runtime)
        for part in (self.source.identity(), *settings, *more, str(len(texts)), *texts):
            digest.update(part.encode())
            digest.update(b"\0")
        return digest.hexdigest()

    def _batch(self, rows: Sequence[Sequence[int]]) -> dict[str, Tensor]:
        _, tokenizer = self.load()
        return padded(rows, int(tokenizer.pad_token_id))

    def _vectors(self) -> Callable[[dict[str, Tensor]], Tensor]:
        """A function from a batch of tokens to pooled vectors."""
        model, _ = self.load()
        pooling = self.pooling
        if self.runtime.backend == "torch":
            model.eval()
            return lambda tokens: pool(model, tokens, pooling)
        if self._int8 is None:
            from divrec.models.encoder.onnx_int8 import quantized

            self._int8 = quantized(model, pooling)
        return self._int8
