"""The text tower of a language model in training: some texts are encoded anew with gradient, the rest from a table.

Shapes: T distinct texts, R of them, D width of the model, W whitened width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from divrec.errors import ConfigError, check_number
from divrec.models.encoder import Whitening
from divrec.models.encoder.packed import packed_linears
from divrec.models.lockstep import is_sharded, most_of_all, place_of_process, sum_over_processes, union_over_processes

POLICIES = ("never", "epoch", "live")


@dataclass(frozen=True)
class TableSettings:
    """How the vectors of the texts that carry no gradient stay up to date while the language model trains.

    Whatever the policy, a validation and an evaluation read a fresh table. It is one of their own: how often is
    validated changes nothing of the training.

    Attributes:
        refresh: of the table during training: `never` = as it was at the start; `epoch` = at the start of each epoch;
            a number n = every n optimizer steps; `live` = no table, every vector is computed in every step: exact and
            slowest.
        live_texts: at most this many texts carry gradient in a step: of the live ones the first, for they come in
            order of importance; a seeded choice where all texts are asked for. None = no limit. Where several processes
            share a batch, each chooses as many of its own; what any has chosen carries gradient for all, and they
            divide the encoding among them. Only without a limit is that the choice of one process.
        chunk: texts that pass through the model at once. With several chunks activations are recomputed in the
            backward pass, so memory does not grow with the number of texts.
        seed: of the choice.
    """

    refresh: str | int = "epoch"
    live_texts: int | None = 128
    chunk: int = 128
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what does not exist."""
        if isinstance(self.refresh, str) and self.refresh not in POLICIES:
            raise ConfigError(
                "must be never, epoch, live or a number of steps", where="tuning.table.refresh", got=self.refresh
            )
        if not isinstance(self.refresh, str):
            check_number("tuning.table.refresh", self.refresh, least=1, whole=True)
        if self.live_texts is not None:
            check_number("tuning.table.live_texts", self.live_texts, least=1, whole=True)
        check_number("tuning.table.chunk", self.chunk, least=1, whole=True)


class TextTable(nn.Module):
    """Whitened vectors of the distinct texts, with gradient into the language model for the live ones.

    Args:
        reader: text numbers (R,) -> pooled vectors (R, D); has `lengths` (T,), and `plm`, the language model.
        whitening: fixed.
        vectors_TW: the untrained model's whitened vectors.
        settings: how the table stays up to date.
        starts_as_frozen: whether the tuned model gives `vectors_TW` before its first step, so that they are fresh.

    Attributes:
        steps: optimizer steps that have begun, as far as `start_step` was told.
    """

    table_TW: Tensor
    evaluated_TW: Tensor | None
    lengths_T: Tensor

    def __init__(
        self,
        reader: nn.Module,
        whitening: Whitening,
        vectors_TW: Tensor,
        settings: TableSettings,
        starts_as_frozen: bool = True,
    ) -> None:
        super().__init__()
        self.reader, self.whitening, self.settings = reader, whitening, settings
        lengths_T = reader.lengths
        assert isinstance(lengths_T, Tensor)
        self.register_buffer("lengths_T", lengths_T, persistent=False)
        self.register_buffer("table_TW", vectors_TW.clone(), persistent=False)
        self.register_buffer("evaluated_TW", None, persistent=False)
        self._fresh_at = self._versions() if starts_as_frozen else None
        self._evaluated_at: tuple[int, ...] | None = None
        self.steps, self._due = 0, True

    @property
    def plm(self) -> nn.Module:
        """The language model."""
        model = self.reader.plm
        assert isinstance(model, nn.Module)
        return model

    @property
    def trainable_plm_parameters(self) -> int:
        """Weights of the language model, or added to it, that are trained."""
        return sum(parameter.numel() for parameter in self.reader.parameters() if parameter.requires_grad)

    def start_epoch(self) -> None:
        """Tell the table that an epoch of training begins."""
        self._due = self._due or self.settings.refresh == "epoch"

    def start_step(self, step: int) -> None:
        """Tell the table that a batch of training begins.

        Args:
            step: optimizer steps done before; the same for all batches whose gradients are accumulated into one.
        """
        every = self.settings.refresh
        if self.steps != step + 1 and isinstance(every, int):
            self._due = self._due or step % every == 0
        self.steps = step + 1

    def train(self, mode: bool = True) -> TextTable:
        """Switch between training and evaluation, which reads a table that is fresh."""
        if self.training and not mode and self.steps > 0:
            self.forget()
        super().train(mode)
        return self

    def forget(self) -> None:
        """Take the tables for stale: weights that were copied have no history by which they could be judged."""
        self._fresh_at = self._evaluated_at = self.evaluated_TW = None

    def forward(self, texts_R: Tensor | None = None, live_R: Tensor | None = None) -> Tensor:
        """Whitened unit vectors (R, W).

        Args:
            texts_R: numbers of the texts asked for; None = all.
            live_R: numbers of the texts that should carry gradient, in order of importance; repeats do no harm; None =
                all that are asked for.
        """
        self._keep_up()
        everything_T = torch.arange(len(self.table_TW), device=self.table_TW.device)
        asked_R = everything_T if texts_R is None else texts_R
        if not torch.is_grad_enabled():
            return self._table()[asked_R]
        chosen = union_over_processes(self._choose(asked_R, live_R), len(everything_T))
        is_live_R = torch.isin(asked_R, chosen)
        vectors_RW = self._resting(asked_R, is_live_R)
        if len(chosen) == 0 and place_of_process() == (0, 1):
            return vectors_RW
        place_T = torch.zeros_like(everything_T).index_put((chosen,), torch.arange(len(chosen), device=chosen.device))
        live_LW = self._encode_live(chosen)[place_T[asked_R[is_live_R]]]
        return vectors_RW.index_put((is_live_R.nonzero().squeeze(-1),), live_LW)

    def snapshot(self) -> dict[str, Tensor]:
        """What an interrupted training has to bring back beside the weights."""
        return {"table_TW": self.table_TW.clone(), "steps": torch.tensor(self.steps), "due": torch.tensor(self._due)}

    def restore(self, snapshot: dict[str, Tensor]) -> None:
        """Go on from a snapshot; the weights must be in place."""
        self.table_TW = snapshot["table_TW"].to(self.table_TW.device)
        self.steps, self._due, self._fresh_at = int(snapshot["steps"]), bool(snapshot["due"]), None

    @torch.no_grad()
    def refresh(self) -> None:
        """Compute the whole table anew: in training the one that it reads, else the one that evaluations read."""
        everything_T = torch.arange(len(self.table_TW), device=self.table_TW.device)
        vectors_TW = self._encode_quietly(everything_T, self._passes(everything_T))
        if self.training:
            self.table_TW, self._fresh_at, self._due = vectors_TW, self._versions(), False
        else:
            self.evaluated_TW, self._evaluated_at = vectors_TW, self._state()

    def _table(self) -> Tensor:
        """The table of the training, or in an evaluation its own, where it needed one."""
        return self.table_TW if self.training or self.evaluated_TW is None else self.evaluated_TW

    def _keep_up(self) -> None:
        """Refresh a table where the training's policy, or an evaluation, wants it and weights have changed since."""
        if not self.training:
            self._keep_evaluation_up()
        elif torch.is_grad_enabled():
            self._keep_training_up()

    def _keep_evaluation_up(self) -> None:
        if self.evaluated_TW is None and self._fresh_at == self._versions():
            return
        if self._evaluated_at != self._state():
            self.refresh()

    def _keep_training_up(self) -> None:
        if self._due and self.settings.refresh != "live":
            self._due = False
            if self.evaluated_TW is not None and self._evaluated_at == self._state():
                self.table_TW, self._fresh_at = self.evaluated_TW, self._versions()  # what `refresh` would compute
            elif self._fresh_at != self._versions():
                self.refresh()
        self.evaluated_TW = self._evaluated_at = None  # the step that follows makes it stale

    def _choose(self, asked_R: Tensor, live_R: Tensor | None) -> Tensor:
        """The distinct texts that carry gradient in this step."""
        most = self.settings.live_texts
        if live_R is not None:
            return _in_order_of_appearance(live_R[torch.isin(live_R, asked_R)])[:most]
        asked = torch.unique(asked_R)
        if most is None or len(asked) <= most:
            return asked
        # No generator that runs along: the step is all that a resumed training has to bring back.
        generator = torch.Generator().manual_seed(self.settings.seed * 1_000_003 + self.steps)
        return asked[torch.randperm(len(asked), generator=generator)[:most].to(asked.device)]

    @torch.no_grad()
    def _resting(self, asked_R: Tensor, is_live_R: Tensor) -> Tensor:
        """Vectors of the texts that are not live, (R, W); the live rows are there to be overwritten."""
        vectors_RW = self._table()[asked_R]
        if self.settings.refresh != "live":
            return vectors_RW
        resting, inverse = torch.unique(asked_R[~is_live_R], return_inverse=True)
        passes = self._passes(resting)
        if passes > 0:
            vectors_RW[~is_live_R] = self._encode_quietly(resting, passes)[inverse]
        return vectors_RW

    def _encode_live(self, chosen: Tensor) -> Tensor:
        """Vectors (L, W) of the live texts, the same in each process, of which each encodes its part."""
        rank, count = place_of_process()
        if count == 1:
            return self._encode(chosen, -(-len(chosen) // self.settings.chunk))
        own = torch.arange(len(chosen), device=chosen.device)[rank::count]
        # Once at least: a process without a text of its own still owes the others a gradient, of zero.
        passes = max(-(-len(chosen) // (count * self.settings.chunk)), 1)
        own_LW = self._encode(chosen[own], passes)
        return sum_over_processes(own_LW.new_zeros(len(chosen), own_LW.shape[-1]).index_put((own,), own_LW))

    def _passes(self, texts_R: Tensor) -> int:
        """Passes of the reader for so many texts; where processes share its weights, as many as the busiest needs."""
        passes = -(-len(texts_R) // self.settings.chunk)
        return most_of_all(passes, texts_R.device) if is_sharded(self.reader) else passes

    # Packed weights exist for torch alone; a compiler that meets them fails. A GPU's are left out too, for simplicity.
    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def _encode_quietly(self, texts_R: Tensor, passes: int) -> Tensor:
        """Without dropout."""
        mode = self.reader.training
        self.reader.eval()
        with packed_linears(self.reader):
            vectors_RW = self._encode(texts_R, passes)
        self.reader.train(mode)
        return vectors_RW

    def _encode(self, texts_R: Tensor, passes: int) -> Tensor:
        order, size = self.lengths_T[texts_R].argsort(), self.settings.chunk
        sorted_R = texts_R[order]
        chunks = [sorted_R[start : start + size] for start in range(0, len(sorted_R), size)]
        # What is read for the company of busier processes comes last, is cut off, and has no gradient.
        chunks += [torch.zeros_like(self.lengths_T[:1])] * (passes - len(chunks))
        recompute = torch.is_grad_enabled() and passes > 1
        parts = [
            checkpoint(self.reader, part, use_reentrant=False) if recompute else self.reader(part) for part in chunks
        ]
        vectors_RW = self.whitening(torch.cat(parts)[: len(texts_R)][order.argsort()])
        return vectors_RW.to(self.table_TW.dtype)  # autocast would halve it

    def _state(self) -> tuple[int, ...]:
        """What decides the values of a table: the trained weights, and whether autocast halves the products."""
        return (int(torch.is_autocast_enabled(self.table_TW.device.type)), *self._versions())

    def _versions(self) -> tuple[int, ...]:
        """Counts the changes of each trained weight: an optimizer's step and a loaded state are seen by it."""
        return tuple(parameter._version for parameter in self.reader.parameters() if parameter.requires_grad)


def _in_order_of_appearance(numbers_R: Tensor) -> Tensor:
    distinct, inverse_R = torch.unique(numbers_R, return_inverse=True)
    first = torch.full_like(distinct, len(numbers_R)).scatter_reduce(
        0, inverse_R, torch.arange(len(numbers_R), device=numbers_R.device), "amin"
    )
    return distinct[first.argsort()]
