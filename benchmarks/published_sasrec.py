"""Does the strongest published SASRec on Amazon Beauty come out of its own recipe? Plain PyTorch, nothing of divrec.

python benchmarks/published_sasrec.py FOLDER [--dim 64] [--loss sampled] [--epochs 100]

FOLDER holds sequences.txt: a line for each user, `user item item ...` in the order of time, item numbers from 1. The
last item is the test target, the one before it that of validation; all items are ranked, seen ones left out. The recipe
is that of the row "SASRec, sampled softmax, 256 negatives" (eSASRec, blondered/transformer_benchmark): the block of
SASRec's authors (queries normalized, keys and values not, ReLU, as wide inside as outside, dropout on attention weights
too), learned positions, Xavier-normal weights, AdamW at 1e-3 with betas .9 and .98 and no decay, batches of 128 users,
negatives drawn for each position. That benchmark's page names a width of 64, its configuration file 256: try both.

Losses: `sampled` as published; `offset` is what it becomes without chance, a softmax over all items in which a target
gains ln(items / negatives), for widths at which that is cheaper; `full` is the plain softmax.

Prints validation and test of every few epochs, and at the end those of the epoch that was best on validation.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

K = 10
LENGTH = 50
USERS = 128
RANKED_USERS = 512


class Block(nn.Module):
    """The block of SASRec's authors."""

    def __init__(self, dim: int, dropout: float) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(dim, 1, dropout, batch_first=True)
        self.query_norm, self.feedforward_norm = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.feedforward = nn.Sequential(
            nn.Linear(dim, dim), nn.ReLU(), nn.Dropout(dropout), nn.Linear(dim, dim), nn.Dropout(dropout)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden_BLD: Tensor, later_LL: Tensor) -> Tensor:
        """Hidden states after the block."""
        query_BLD = self.query_norm(hidden_BLD)
        attended_BLD, _ = self.attention(query_BLD, hidden_BLD, hidden_BLD, attn_mask=later_LL, need_weights=False)
        inner_BLD = self.feedforward_norm(query_BLD + attended_BLD)
        return inner_BLD + self.dropout(self.feedforward(inner_BLD))


class SASRec(nn.Module):
    """Item vectors of size N + 1, 0 being padding, and one block over a history."""

    def __init__(self, items: int, dim: int, dropout: float) -> None:
        super().__init__()
        self.items, self.positions = nn.Embedding(items + 1, dim, padding_idx=0), nn.Embedding(LENGTH, dim)
        self.block, self.norm, self.dropout = Block(dim, dropout), nn.LayerNorm(dim, eps=1e-8), nn.Dropout(dropout)
        for parameter in self.parameters():
            if parameter.ndim > 1:
                nn.init.xavier_normal_(parameter)
        with torch.no_grad():
            self.items.weight[0] = 0

    def forward(self, histories_BL: Tensor) -> Tensor:
        """Vectors (B, L, D) of each moment; histories are padded on the left."""
        length = histories_BL.shape[1]
        places_L = torch.arange(length - 1, -1, -1)
        later_LL = ~torch.ones(length, length, dtype=torch.bool).tril()
        here_BL1 = (histories_BL != 0).unsqueeze(-1)
        hidden_BLD = self.dropout(self.items(histories_BL) + self.positions(places_L))
        hidden_BLD = self.block(hidden_BLD * here_BL1, later_LL)
        vectors_BLD: Tensor = self.norm(hidden_BLD * here_BL1)
        return vectors_BLD


def padded(rows: list[list[int]]) -> Tensor:
    """Rows of item numbers, filled with 0 on the left."""
    length = max(len(row) for row in rows)
    return torch.tensor([[0] * (length - len(row)) + row for row in rows])


def loss_of(model: SASRec, vectors_PD: Tensor, targets_P: Tensor, kind: str, negatives: int) -> Tensor:
    """One of the three losses, a scalar."""
    items = model.items.num_embeddings - 1
    table_ND = model.items.weight
    if kind == "sampled":
        drawn_PC = torch.randint(1, items + 1, (len(targets_P), negatives))
        positive_P1 = (vectors_PD * table_ND[targets_P]).sum(-1, keepdim=True)
        negative_PC = torch.bmm(table_ND[drawn_PC], vectors_PD.unsqueeze(-1)).squeeze(-1)
        scores = torch.cat([positive_P1, negative_PC], dim=1)
        return functional.cross_entropy(scores, torch.zeros(len(targets_P), dtype=torch.long))
    scores = vectors_PD @ table_ND[1:].T
    if kind == "offset":
        scores[torch.arange(len(targets_P)), targets_P - 1] += math.log(items / negatives)
    return functional.cross_entropy(scores, targets_P - 1)


@torch.no_grad()
def evaluate(model: SASRec, sequences: list[list[int]], last: int) -> tuple[float, float]:
    """NDCG and recall of the item at place `last` from the end, among all that its user has not seen."""
    model.eval()
    gain = hits = 0.0
    for start in range(0, len(sequences), RANKED_USERS):
        part = sequences[start : start + RANKED_USERS]
        seen = [sequence[:-last] for sequence in part]
        targets_B1 = torch.tensor([[sequence[-last]] for sequence in part])
        scores_BN = model(padded([each[-LENGTH:] for each in seen]))[:, -1] @ model.items.weight.T
        target_B1 = scores_BN.gather(1, targets_B1)
        scores_BN.scatter_(1, padded(seen), -torch.inf)
        scores_BN[:, 0] = -torch.inf
        rank_B = (scores_BN.scatter(1, targets_B1, -torch.inf) >= target_B1).sum(1)
        hit_B = (rank_B < K).double()
        hits += hit_B.sum().item()
        gain += (hit_B / torch.log2(rank_B + 2)).sum().item()
    model.train()
    return gain / len(sequences), hits / len(sequences)


def main() -> None:
    """Train, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--dropout", type=float, default=0.2)
    parser.add_argument("--loss", choices=("sampled", "offset", "full"), default="sampled")
    parser.add_argument("--negatives", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--every", type=int, default=4, help="epochs between evaluations")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    lines = (options.folder / "sequences.txt").read_text().splitlines()
    sequences = [[int(item) for item in line.split()[1:]] for line in lines]
    model = SASRec(max(max(sequence) for sequence in sequences), options.dim, options.dropout)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.98), weight_decay=0)
    # One target at least: an item after another, less the two that are kept out.
    training = [sequence[:-2][-LENGTH - 1 :] for sequence in sequences if len(sequence) > 3]
    best, started = (0.0, ""), time.perf_counter()
    for epoch in range(1, options.epochs + 1):
        order = torch.randperm(len(training)).tolist()
        for start in range(0, len(order), USERS):
            rows_BL = padded([training[row] for row in order[start : start + USERS]])
            targets_BL = rows_BL[:, 1:].masked_fill(rows_BL[:, :-1] == 0, 0)
            asked_BL = targets_BL != 0
            vectors_PD = model(rows_BL[:, :-1])[asked_BL]
            loss = loss_of(model, vectors_PD, targets_BL[asked_BL], options.loss, options.negatives)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        if epoch % options.every == 0:
            validation, test = evaluate(model, sequences, 2), evaluate(model, sequences, 1)
            said = "  ".join(
                f"{split} {ndcg:.4f} / {recall:.4f}"
                for split, (ndcg, recall) in (("validation", validation), ("test", test))
            )
            print(f"epoch {epoch:3d}  {time.perf_counter() - started:5.0f} s  {said}", flush=True)
            best = max(best, (validation[0], f"epoch {epoch}  {said}"))
    print(f"best on validation (NDCG@{K} / recall@{K}): {best[1]}")


if __name__ == "__main__":
    main()
