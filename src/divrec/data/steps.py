"""Training and evaluation batches by number: who is asked, and about which moment.

B rows of a batch, Q queries, T targets a user, R rows of a split, M moments, E events.
A moment is asked about as a whole, and its query sees only what is strictly earlier.
"""

from __future__ import annotations

import dataclasses
from typing import Literal, get_args

import numpy as np
import torch
from datasets import Dataset as Table
from numpy.typing import NDArray
from torch.utils.data import Dataset

from divrec.batch import Batch, EvaluationBatch
from divrec.data.collate import Asked, Collation, Targets, make_batch
from divrec.data.histories import Histories, Numbers, flat_lists, read_histories, spread
from divrec.data.recency import MomentDraws, age_weights
from divrec.data.sampling import CandidateSampler
from divrec.data.user_profiles import ProfileCuts
from divrec.errors import ConfigError, DataError
from divrec.schema import USER_ID

WindowEnds = Literal["lead", "full", "last"]  # of training windows

# Last part of the seed of each generator, so that none moves another.
_LEAD, _EXTRA, _ORDER, _NEGATIVE, _BUCKET = 0, 1, 2, 3, 4


class TrainingSteps(Dataset[Batch]):
    """Training batches by step number: `steps[step]` is a pure function of (seed, step), for any number of workers.

    Rows run through an endless sequence of permutations of the users that can be asked about. For each, one random
    moment with a target and with a history is the lead query. Extra queries are other moments inside the windows, drawn
    uniformly by a generator of their own, so that they do not move the lead queries.

    Args:
        histories: of the training split.
        collation: what a batch looks like.
        batch_size: users a step, over all ranks.
        positions: queries a step, over all ranks; None = `batch_size`: lead queries only. Where the windows have fewer,
            all are taken.
        seed: of users, moments and extra queries.
        rank: which slice of the batch is built, from 0.
        world: number of slices; all slices together are the batch of one process.
        sampler: adds candidates and labels; None = targets alone.
        bucket: so many steps share their users out by length of history, so that little of a batch is padding; 1 = not.
        windows: where they end. "lead" = at the lead query, so that extra queries lie earlier and early moments are
            asked about more often; "full" = at the user's last moment (at a random one that fills the window, where the
            history is longer), so that all moments are asked about alike; "last" = at the user's last moment, so that a
            long history is asked about its end alone, as SASRec's are cut.
        half_life_days: age, from the last event of the split, at which a moment is asked about half as often; None =
            age does not matter.

    Raises:
        ConfigError: sizes that do not fit together.
        DataError: no user has a target with something before it.
    """

    def __init__(
        self,
        histories: Histories,
        collation: Collation,
        batch_size: int,
        positions: int | None = None,
        seed: int = 0,
        rank: int = 0,
        world: int = 1,
        sampler: CandidateSampler | None = None,
        bucket: int = 1,
        windows: WindowEnds = "lead",
        half_life_days: float | None = None,
    ) -> None:
        _check_sizes(batch_size, positions, world)
        if windows not in get_args(WindowEnds):
            raise ConfigError("no such windows", where="data.windows", got=windows, mend="Use lead, full or last.")
        self._windows = windows
        if bucket < 1:
            raise ConfigError("must be at least 1", where="data.bucket", got=bucket)
        self._sampler, self._bucket = sampler, bucket
        self._histories, self._collation = histories, collation
        self._batch_size, self._seed, self._rank, self._world = batch_size, seed, rank, world
        self._extra = (positions or batch_size) - batch_size
        is_target_E = np.asarray(collation.target_kinds)[histories.kinds_E]
        can_ask_M = np.add.reduceat(is_target_E.astype(np.int32), histories.starts_M[:-1]) > 0
        can_ask_M[histories.first_moments[:-1]] = False
        # With kinds that no model reads: numbers of the events that one does, to find those inside a window.
        self._read = None if collation.reads_all else np.flatnonzero(collation.is_read(histories.kinds_E))
        if self._read is not None:
            can_ask_M &= self._sees_something(histories, collation.history_length)
        self._moments = np.flatnonzero(can_ask_M)  # all moments that can be a query, in order
        self._offsets_R = np.searchsorted(self._moments, histories.first_moments)
        self._rows = np.flatnonzero(np.diff(self._offsets_R))
        if len(self._rows) == 0:
            raise DataError(
                "no user has a target with an earlier event",
                where="train split",
                mend="Lengthen the log or name more kinds under preparation.targets.",
            )
        times_M = histories.times_E[histories.starts_M[self._moments]]
        self._draws = MomentDraws(None if half_life_days is None else age_weights(times_M, half_life_days))
        low, self._stops = self._offsets_R[self._rows], self._offsets_R[self._rows + 1]
        self._starts = low if windows != "last" else self._first_asked(self._rows, self._stops - 1)
        self._order: tuple[int, Numbers] = (-1, self._rows)

    @property
    def users(self) -> int:
        """Number of users that can be asked about."""
        return len(self._rows)

    def __getitem__(self, step: int) -> Batch:
        """The batch of a step, counted from 0 without an end."""
        if step < 0:
            raise IndexError(f"steps are counted from 0, got {step}")
        rows, leads, ends = self._leads_of(step)
        moments = self._moments[leads]
        starts_M = self._histories.starts_M
        stops = starts_M[self._moments[ends]]
        extra_rows, extra_moments = self._extra_queries(step, self._first_asked(rows, ends), leads, ends)
        query_rows, all_moments = np.concatenate([np.arange(len(rows)), extra_rows]), np.append(moments, extra_moments)

        size = self._batch_size // self._world
        first = self._rank * size
        mine_Q = (query_rows >= first) & (query_rows < first + size)
        asked = Asked(
            rows_B=rows[first : first + size],
            stops_B=stops[first : first + size],
            query_rows_Q=query_rows[mine_Q] - first,
            stops_Q=starts_M[all_moments[mine_Q]],
        )
        batch = make_batch(self._histories, self._collation, asked, self._targets(all_moments[mine_Q]))
        if self._sampler is None:
            return batch
        pool = self._targets(all_moments).items_P
        rows_Q = rows[query_rows[mine_Q]]
        return self._sampler.add(batch, self._histories, rows_Q, pool, [self._seed, step, _NEGATIVE])

    def _sees_something(self, histories: Histories, length: int) -> NDArray[np.bool_]:
        """By moment, whether one of the last events before it is read by a model."""
        assert self._read is not None
        starts_M = histories.starts_M[:-1]
        rows_M = np.searchsorted(histories.offsets_R, starts_M, side="right") - 1
        window_starts = np.maximum(histories.offsets_R[rows_M], starts_M - length)
        return np.searchsorted(self._read, window_starts) < np.searchsorted(self._read, starts_M)

    def _leads_of(self, step: int) -> tuple[Numbers, Numbers, Numbers]:
        """Rows of a step, their lead queries, and the queries at which their windows end.

        With buckets, a group of steps shares them out by window length.
        """
        group, place = divmod(step, self._bucket)
        rows = self._in_turn(group, self._bucket)
        generator = np.random.default_rng([self._seed, group, _LEAD])
        low, high = self._offsets_R[rows], self._offsets_R[rows + 1]
        if self._windows == "lead":
            leads = ends = self._draws.between(generator, low, high)
        else:
            ends = high - 1
            if self._windows == "full":
                seen_M = self._histories.starts_M[self._moments]  # events before each moment, over all users
                filled = np.searchsorted(seen_M, self._histories.offsets_R[rows] + self._collation.history_length)
                ends = self._draws.between(generator, np.minimum(filled, ends), high)
            leads = self._draws.between(generator, self._first_asked(rows, ends), ends + 1)
        if self._bucket == 1:
            return rows, leads, ends
        lengths = self._histories.starts_M[self._moments[ends]] - self._histories.offsets_R[rows]
        by_length = np.argsort(np.minimum(lengths, self._collation.history_length), kind="stable")
        order = np.random.default_rng([self._seed, group, _BUCKET]).permutation(self._bucket)
        mine = by_length.reshape(self._bucket, self._batch_size)[order[place]]
        return rows[mine], leads[mine], ends[mine]

    def _first_asked(self, rows: Numbers, ends: Numbers) -> Numbers:
        """First moment of each window that sees something of it: never the window's first."""
        starts = self._histories.starts_M[self._moments[ends]] - self._collation.history_length
        window_starts = np.maximum(self._histories.offsets_R[rows], starts)
        if self._read is not None:
            window_starts = self._read[np.searchsorted(self._read, window_starts)]
        return np.searchsorted(self._moments, self._histories.moments_E[window_starts], side="right")

    def _in_turn(self, group: int, steps: int) -> Numbers:
        """Rows of a group of steps, out of the endless sequence of permutations."""
        size = steps * self._batch_size
        passes, places = np.divmod(np.arange(group * size, (group + 1) * size), len(self._rows))
        return np.concatenate([self._permutation(number)[places[passes == number]] for number in np.unique(passes)])

    def _permutation(self, number: int) -> Numbers:
        """The order of the users in a pass; the latest is kept, as steps mostly come in order."""
        if self._order[0] != number:
            generator = np.random.default_rng([self._seed, int(number), _ORDER])
            self._order = (number, self._draws.order(generator, self._rows, self._starts, self._stops))
        return self._order[1]

    def _extra_queries(self, step: int, first: Numbers, leads: Numbers, ends: Numbers) -> tuple[Numbers, Numbers]:
        """Batch rows and moments of the extra queries: any of the windows' but the leads."""
        rows, candidates = spread(first, ends + 1)
        others = candidates != leads[rows]
        rows, candidates = rows[others], candidates[others]
        if self._extra < len(candidates):
            generator = np.random.default_rng([self._seed, step, _EXTRA, 0])
            chosen = self._draws.some(generator, candidates, self._extra)
            rows, candidates = rows[chosen], candidates[chosen]
        return rows, self._moments[candidates]

    def _targets(self, moments: Numbers) -> Targets:
        starts_M, kinds_E = self._histories.starts_M, self._histories.kinds_E
        queries, events = spread(starts_M[moments], starts_M[moments + 1])
        wanted = np.asarray(self._collation.target_kinds)[kinds_E[events]]
        queries, events = queries[wanted], events[wanted]
        return Targets(
            queries, self._histories.items_E[events], np.asarray(self._collation.event_weights)[kinds_E[events]]
        )


class EvaluationSteps(Dataset[EvaluationBatch]):
    """The users of an evaluation split in batches; each is asked once and sees the whole history before the window.

    The inner batch holds the window's targets too, with label 1, so that a task loss can be computed on it.

    Args:
        split: validation or test.
        collation: what a batch looks like.
        batch_size: users a batch.
        rank: every `world`-th batch from this one on is built.
        world: number of processes that share the batches.
        by_length: users in the order of their histories' lengths instead of the split's: less of a batch is padding.
        profiles: the users' profile texts; None = no model reads any.
    """

    def __init__(
        self,
        split: Table,
        collation: Collation,
        batch_size: int,
        rank: int = 0,
        world: int = 1,
        by_length: bool = False,
        profiles: ProfileCuts | None = None,
    ) -> None:
        _check_sizes(batch_size, None, 1)
        self._histories = dataclasses.replace(read_histories(split), profiles=profiles)
        self._collation, self._batch_size = collation, batch_size
        table = split.with_format("arrow")[:]
        self._targets, self._target_offsets = flat_lists(table, "targets")
        self._user_ids: list[str] = table.column(USER_ID).to_pylist()
        self._batches = np.arange(0, len(self._user_ids), batch_size)[rank::world]
        lengths = np.diff(self._histories.offsets_R)
        self._order = np.argsort(lengths, kind="stable") if by_length else np.arange(len(lengths))

    def __len__(self) -> int:
        """Number of batches of this process."""
        return len(self._batches)

    def __getitem__(self, number: int) -> EvaluationBatch:
        """A batch of users."""
        first = int(self._batches[number])
        rows = self._order[first : first + self._batch_size]
        stops = self._histories.offsets_R[rows + 1]
        owners, places = spread(self._target_offsets[rows], self._target_offsets[rows + 1])
        items = self._targets[places]
        targets_BT = np.full((len(rows), int(np.bincount(owners, minlength=1).max())), -1, dtype=np.int64)
        targets_BT[owners, places - self._target_offsets[rows][owners]] = items
        asked = Asked(rows, stops, np.arange(len(rows)), stops)
        batch = make_batch(self._histories, self._collation, asked, Targets(owners, items, np.ones(len(items))))
        return EvaluationBatch(batch, torch.from_numpy(targets_BT), tuple(self._user_ids[row] for row in rows))


def _check_sizes(batch_size: int, positions: int | None, world: int) -> None:
    if batch_size < 1 or batch_size % world:
        raise ConfigError(
            f"must be a positive multiple of the {world} processes", where="data.batch_size", got=batch_size
        )
    if positions is not None and positions < batch_size:
        raise ConfigError(
            "must be at least batch_size: every user has a lead query",
            where="data.positions",
            got=positions,
            mend="Give null for lead queries only.",
        )
