"""Loading a language model of any family and its tokenizer: encoders, decoders, the encoder side of T5 and its like."""

from __future__ import annotations

import copy
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from divrec.errors import ConfigError
from divrec.models.encoder.pooling import is_decoder
from divrec.models.encoder.progress import quiet_unpacking, quiet_without_terminal
from divrec.storage import replacing

# Said, not left out: without it transformers asks at the terminal, and a pipe could answer yes.
_OWN_CODE = {"trust_remote_code": False}
_VOCABULARY = ("*.txt", "*.model")  # read where there is no tokenizer.json
_DEVICE = re.compile(r"cpu|cuda(:\d+)?")
_CHUNK = 1 << 20  # bytes of a file that are hashed at once
BACKENDS = ("torch", "onnx_int8")
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Runtime:
    """How the language model computes.

    Attributes:
        dtype: of its weights: float32, bfloat16 or float16 (the latter two pay on accelerators only, and are for
            weights that are not trained: see `check_trainable_weights`).
        attention: implementation, as transformers names it: sdpa, eager, flash_attention_2, ...; None = its own choice.
        gradient_checkpointing: whether a training step recomputes the activations inside each layer: less memory,
            about a third slower.
        backend: `torch`, or `onnx_int8` = weights and activations in 8 bits through ONNX Runtime, for encoding with a
            frozen model only.
        device: where texts are encoded with a frozen model: cpu, cuda or cuda:N; None = the GPU of the training if
            there is one, else cpu. Vectors lie on the CPU afterwards; the files that keep them are the same for all.
    """

    dtype: str = "float32"
    attention: str | None = None
    gradient_checkpointing: bool = False
    backend: str = "torch"
    device: str | None = None

    def __post_init__(self) -> None:
        """Refuse what does not exist."""
        for key, value, allowed in (("dtype", self.dtype, DTYPES), ("backend", self.backend, BACKENDS)):
            if value not in allowed:
                raise ConfigError(f"must be one of {', '.join(allowed)}", where=f"encoder.runtime.{key}", got=value)
        if self.attention is not None and not isinstance(self.attention, str):
            raise ConfigError("must be a name, or null", where="encoder.runtime.attention", got=self.attention)
        if self.backend != "torch" and self.dtype != "float32":
            raise ConfigError(
                f"{self.backend} makes its 8 bits out of single precision",
                where="encoder.runtime.dtype",
                got=self.dtype,
                mend="Keep it at float32, or choose encoder.runtime.backend=torch.",
            )
        self._check_device()

    def _check_device(self) -> None:
        if self.device is None:
            return
        if not isinstance(self.device, str) or not _DEVICE.fullmatch(self.device):
            raise ConfigError(
                "no such device", where="encoder.runtime.device", got=self.device, mend="Use null, cpu, cuda or cuda:N."
            )
        if self.backend != "torch" and self.device != "cpu":
            raise ConfigError(
                f"{self.backend} computes on a CPU",
                where="encoder.runtime.device",
                got=self.device,
                mend="Set it to null, or choose encoder.runtime.backend=torch.",
            )


def check_trainable_weights(runtime: Runtime, own: bool = True) -> None:
    """Refuse a runtime whose weights no optimizer can train.

    In float16 the second moments of AdamW fall to 0 or rise to infinity, and weights turn to NaN; bfloat16 has 8
    significant bits, so that a weight swallows most small steps.

    Args:
        runtime: of a language model that is going to be trained, or of which weights are.
        own: whether those are its own weights; False = weights that are added beside them, in fp32 themselves.

    Raises:
        ConfigError: its own weights are to be trained and are not float32, or they lie in another backend than torch.
    """
    if runtime.backend != "torch":
        raise ConfigError(
            "only backend torch can train the language model",
            where="encoder.runtime.backend",
            got=runtime.backend,
            mend="Choose encoder.runtime.backend=torch; the others are for frozen models (tuning=frozen).",
        )
    if own and runtime.dtype != "float32":
        raise ConfigError(
            "weights that are trained need single precision",
            where="encoder.runtime.dtype",
            got=runtime.dtype,
            mend="Keep encoder.runtime.dtype=float32 and set trainer.precision=bf16-mixed.",
        )


@dataclass(frozen=True)
class Source:
    """Where a language model lies.

    Attributes:
        model: folder, hub id, or GGUF file.
        revision: of a hub id.
    """

    model: str
    revision: str = "main"

    @property
    def is_gguf(self) -> bool:
        """Whether it is one GGUF file."""
        return self.model.endswith(".gguf") and Path(self.model).is_file()

    def identity(self) -> str:
        """Hash of the files, or the commit behind a hub id: the same weights, wherever they lie.

        Raises:
            ConfigError: if the hub id is out of reach.
        """
        path = Path(self.model)
        if not path.exists():
            from transformers import AutoConfig

            try:
                config = AutoConfig.from_pretrained(self.model, revision=self.revision, **_OWN_CODE)
            except (OSError, ValueError) as error:
                raise self.out_of_reach(error) from error
            return f"{self.model}@{config._commit_hash}"
        kinds = ["*.safetensors", "*.json", *(() if (path / "tokenizer.json").is_file() else _VOCABULARY)]
        files = [path] if path.is_file() else sorted(file for kind in kinds for file in path.glob(kind))
        digest = hashlib.blake2b(digest_size=16)
        for file in files:
            digest.update(file.name.encode())
            with file.open("rb") as opened:
                while chunk := opened.read(_CHUNK):
                    digest.update(chunk)
        return digest.hexdigest()

    def out_of_reach(self, error: Exception) -> ConfigError:
        """The error for a model that cannot be loaded."""
        lines = str(error).splitlines() or [type(error).__name__]
        return ConfigError(
            f"the language model cannot be loaded ({lines[0]})",
            where="encoder.model",
            got=self.model,
            mend="Give a folder with config.json and model.safetensors, a GGUF file, or a hub id within reach.",
        )


def load_model(source: Source, runtime: Runtime, cache: Path | None) -> tuple[Any, Any]:
    """The transformers model (evaluation mode, no pooling head) and its tokenizer, which has a padding token.

    Weights must be safetensors or GGUF; code that comes with a model is never run.

    Args:
        source: where it lies.
        runtime: how it computes.
        cache: folder where a GGUF file is kept as safetensors once it was unpacked; None = unpack it each time.

    Raises:
        ConfigError: if the model cannot be loaded.
    """
    quiet_without_terminal()
    if source.is_gguf:
        if cache is None:
            return _finish(*_unpack(source, runtime))
        source = Source(str(_converted(source, cache)))
    try:
        tokenizer = _auto("AutoTokenizer").from_pretrained(source.model, revision=source.revision, **_OWN_CODE)
        model = _auto("AutoModel").from_pretrained(
            source.model, revision=source.revision, use_safetensors=True, **_OWN_CODE, **_options(runtime)
        )
    except (OSError, ValueError, ImportError) as error:
        _check_attention(source, runtime)
        raise source.out_of_reach(error) from error
    return _finish(model, tokenizer)


def _check_attention(source: Source, runtime: Runtime) -> None:
    """Where a model cannot be loaded: whether its attention is at fault. No weights are read for that.

    Raises:
        ConfigError: the model does not exist with this attention, or not on this machine.
    """
    if runtime.attention is None:
        return
    try:
        config = _auto("AutoConfig").from_pretrained(source.model, revision=source.revision, **_OWN_CODE)
    except (OSError, ValueError):
        return
    try:
        with torch.device("meta"):
            _auto("AutoModel").from_config(config, **_OWN_CODE, **_options(runtime))
    except (OSError, ValueError, ImportError) as error:
        lines = str(error).splitlines() or [type(error).__name__]
        raise ConfigError(
            f"this language model cannot attend so here ({lines[0]})",
            where="encoder.runtime.attention",
            got=runtime.attention,
            mend="Use sdpa or eager, or null for the model's own choice.",
        ) from error


def _auto(name: str) -> Any:  # noqa: ANN401 - one of transformers' Auto classes
    import transformers

    return getattr(transformers, name)


def _options(runtime: Runtime) -> dict[str, Any]:
    options: dict[str, Any] = {"dtype": DTYPES[runtime.dtype]}
    if runtime.attention is not None:
        options["attn_implementation"] = runtime.attention
    return options


def _unpack(source: Source, runtime: Runtime) -> tuple[Any, Any]:
    path = Path(source.model)
    try:
        tokenizer = _auto("AutoTokenizer").from_pretrained(str(path.parent), gguf_file=path.name, **_OWN_CODE)
        with quiet_unpacking():
            model = _auto("AutoModel").from_pretrained(
                str(path.parent), gguf_file=path.name, **_OWN_CODE, **_options(runtime)
            )
    except (OSError, ValueError, ImportError, KeyError) as error:
        raise source.out_of_reach(error) from error
    return model, tokenizer


def _converted(source: Source, cache: Path) -> Path:
    """Unpacking a GGUF file takes many times as long as reading safetensors: it happens once."""
    target = cache / "unpacked" / source.identity()
    if not (target / "config.json").is_file():
        model, tokenizer = _unpack(source, Runtime())
        with replacing(target) as temporary:
            _plain(model).save_pretrained(temporary)
            tokenizer.save_pretrained(temporary)
    return target


def _plain(model: Any) -> Any:  # noqa: ANN401
    """The same weights in a model that knows nothing of its GGUF file: transformers refuses to save one that does."""
    config = copy.deepcopy(model.config)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    plain = _auto("AutoModel").from_config(config)
    plain.load_state_dict(model.state_dict())
    return plain


def _finish(model: Any, tokenizer: Any) -> tuple[Any, Any]:  # noqa: ANN401
    config = model.config
    if getattr(config, "is_encoder_decoder", False):
        model = model.get_encoder()
    if isinstance(getattr(model, "pooler", None), nn.Module):
        model.pooler = None  # its weights would be trained by nobody
    if is_decoder(config):
        config.use_cache = False
    else:
        tokenizer.padding_side = "right"
    if tokenizer.pad_token is None:
        # Never read: the mask hides it. A new token would need a row of its own in the embedding matrix.
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token or tokenizer.convert_ids_to_tokens(0)
    return model.eval(), tokenizer
