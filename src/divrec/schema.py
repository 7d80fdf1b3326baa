"""Names and records that every room shares. Imports no torch: the sweep's driver and the analysis read it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datasets import Features

SCHEMA_VERSION = 1

# Columns of a behavior log as divrec sees it after reading, and of the files it writes.
USER_ID = "user_id"
ITEM_ID = "item_id"
TIMESTAMP = "timestamp"
EVENT = "event"
TEXT = "text"
CATEGORIES = "categories"
SPLIT = "split"
RANK = "rank"
SCORE = "score"
RULE = "rule"
ROW = "row"
QUANTITY = "quantity"
PROBLEM = "problem"  # what a reader found wrong with a row
ORIGINAL = "original"  # what stood there instead

TRAIN, VALIDATION, TEST = "train", "validation", "test"
SPLITS = (VALIDATION, TEST)

# Run kinds, in the order in which a table lists them.
BASE, CONTROL, TRAINED, BASELINE = "base", "control", "trained", "baseline"
KINDS = (BASE, CONTROL, TRAINED, BASELINE)

RECORD_FILE = "record.json"
USERS_FILE = "users.parquet"
SLATES_FILE = "slates.parquet"
GROUPS_FILE = "groups.parquet"
CURVE_FILE = "curve.csv"
MODEL_FOLDER = "model"
POINTS_FOLDER = "points"
RANKING_FOLDER = "ranking"
RULER = "ruler"  # key of a record's data


def sequence_features() -> Features:
    """Features of the train split: a row a user, events in time order (ties in seeded random order)."""
    from datasets import Features, Sequence, Value

    return Features(
        {
            USER_ID: Value("string"),
            "user": Value("int32"),
            "items": Sequence(Value("int32")),  # catalogue row of each event
            "times": Sequence(Value("int64")),  # seconds since the epoch, not decreasing
            "events": Sequence(Value("int8")),  # position in the manifest's list of event kinds
        }
    )


def evaluation_features() -> Features:
    """Features of the validation and test splits: the history before the window and what the window brought."""
    from datasets import Features, Sequence, Value

    return Features({**sequence_features(), "targets": Sequence(Value("int32"))})


def catalogue_features() -> Features:
    """Features of the catalogue: a row an item; the row number is the item's index everywhere else."""
    from datasets import Features, Sequence, Value

    return Features(
        {
            ITEM_ID: Value("string"),
            TEXT: Value("string"),
            CATEGORIES: Sequence(Value("int32")),  # positions in the manifest's list of categories
            "count": Value("int64"),  # training events
        }
    )


@dataclass(frozen=True)
class RunRecord:
    """One point: a run x a re-ranker x an interpolation. Its JSON form is record.json.

    Attributes:
        identity: hash of all that decides the numbers.
        kind: base, control, trained or baseline.
        name: unique inside a sweep; derived points carry the run's name and their own, joined by a slash.
        config: the resolved config of the run.
        data: name, fingerprint, users, items, events, categories (their number), category_source, ruler (hashes of the
            frozen vectors and of the items' categories that diversity was measured with; absent in earlier versions).
        model: encoder, encoder_identity (of its content), parameters, trainable, trainable_plm (those among them that
            belong to the language model, added ones included).
        objective: task, diversity (weights by name), relaxation, beta, beta_scale, ratio (by name).
        rerank: name, diversity and the strategy's other parameters; empty for the ranking as it came. Records of
            earlier versions have name and diversity only.
        interpolation: weights by run; empty for a trained point.
        metrics: split -> metric name (as "ndcg@10") -> value.
        cost: fit_seconds, evaluate_seconds, steps, peak_memory_mb.
        code: version, commit; of a derived point those that made it.
        undefined: split -> metric name -> number of users without a value, who are left out of its mean; a metric that
            all users have is not named. Empty in records of earlier versions.
        empty_histories: split -> number of users whose empty history counted as the uniform reference.
    """

    identity: str
    kind: str
    name: str
    config: dict[str, Any]
    seed: int
    data: dict[str, Any]
    model: dict[str, Any]
    objective: dict[str, Any]
    metrics: dict[str, dict[str, float]]
    cost: dict[str, float]
    code: dict[str, str]
    rerank: dict[str, Any] = field(default_factory=dict)
    interpolation: dict[str, float] = field(default_factory=dict)
    exclude_seen: bool = True
    undefined: dict[str, dict[str, int]] = field(default_factory=dict)
    empty_histories: dict[str, int] = field(default_factory=dict)
    schema: int = SCHEMA_VERSION

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON types, ready for record.json."""
        return dataclasses.asdict(self)
