"""The page docs/results/objective.md out of its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import pandas as pd

BETA = 0.3
SHARE = "share"  # of the mean gain of all trainings
HEADS = {
    "1-gini@10": "1 − Gini",
    "coverage@10": "coverage",
    "effective_coverage@10": "eff. coverage",
    "simpson@10": "Simpson",
    "ilad@10": "ILAD",
    "ilmd@10": "ILMD",
    "alpha_ndcg@10": "alpha-nDCG",
}
HEAD = """# What training with a regularizer does

Built by `python benchmarks/objective_table.py` from the CSV files in [objective](objective/). Test values; every
point, strength and front is chosen on validation. Intervals (95 %) hold for other users, and for other seeds where
there are several (Student's t, [comparing](../comparing.md)), drawn alike for both sides of a comparison. A mean gain
is over the band of 90 to 100 % of the control's NDCG@10; the control has had the same steps as the points. Readings:
[objective](../objective.md), [log](../log.md).
"""
COMMANDS = """
## Commands

Each after `python -m divrec.run.train -m`, with `data.root=FOLDER`; then
`python benchmarks/objective_table.py collect`.

| sweep | command |
| --- | --- |
| objective-DATA | `+sweep=objective +experiment=uci`; re-rankers behind R by \
`python -m divrec.run.evaluate run=SWEEP/POINT 'rerank=[mmr,dpp,exposure]'` \
on gini-0.3, gini-1, coverage-1, coverage-3 |
| joint-DATA | `+sweep=joint +experiment=uci` (or `beauty_wide`), the same with `diversity=coverage beta=0.3,1,3` |
| joint_sampled-DATA | `+sweep=joint +experiment=uci task=sampled_cross_entropy task.log_q=false beta=0.3` |
| nine-DATA | `+sweep=beta_x_loss +experiment=uci diversity=gini beta=0.05,0.1,0.2,0.3,0.4,0.5,0.7,1 seed=0,1,2 FAST` |
| scratch-DATA | `+sweep=scratch +experiment=uci diversity=gini beta=0.05,0.1,0.2,0.3 SCRATCH` |
| task-DATA | `+sweep=beta_x_task +experiment=uci beta=0.3 FAST` |
| batch-DATA | `+sweep=beta_x_loss +experiment=uci diversity=gini beta=0.3 data.batch_size=64,256,1024 FAST` |

FAST is `hydra.sweeper.point.schedule=finetune_fast hydra.sweeper.baselines=[]`, SCRATCH `hydra.sweeper.baselines=[]
'hydra.sweeper.point={schedule: finetune, schedule.steps: 500, schedule.learning_rate: 2.0e-3, schedule.warmup: 50}'
'hydra.sweeper.control={rerank: "[mmr,exposure]"}'`; names other than `+sweep`'s own are given by `hydra.sweep.dir`. On
Beauty, `+experiment=beauty_wide task.chunk=2048 metrics.k=[10]`, betas were .3, .5 (`gini`) and 1 (`coverage`), and
the points start from the bases of [accuracy](accuracy.md): `hydra.sweeper.from_base=false
'init_from="RUNS/text_id_wide-seed${seed}"'`. Points between, for each seed: `python -m divrec.run.interpolate
base=NINE/control-seed0 toward=NINE/gini-0.4-seed0 amounts=\
[0.1,0.15,0.2,0.25,0.3,0.35,0.4,0.45,0.5,0.55,0.6,0.65,0.7,0.75,0.8,0.9]`,
toward gini-0.5 `amounts=[0.15,0.3,0.45,0.6,0.7,0.8,0.9]`, gini-0.3 `amounts=[0.2,0.4,0.6,0.8,1.1,1.25,1.5]`.
"""
Cell = Callable[[pd.DataFrame, str, float], str]


def page(parts: dict[str, pd.DataFrame]) -> str:
    """The whole page.

    Args:
        parts: "gains", "contests", "beta" and "settings", any of them without rows.
    """
    return "\n".join([HEAD, *_sections(parts), COMMANDS])


def _sections(parts: dict[str, pd.DataFrame]) -> Iterable[str]:
    gains, contests, beta, settings = (parts[name] for name in ("gains", "contests", "beta", "settings"))
    for sweep in _named(gains, "objective"):
        yield from _every(gains[gains["sweep"] == sweep], sweep)
        yield from _without_r(settings, sweep)
    if len(contests):
        yield from _contests(contests)
    for sweep in _named(settings, "joint_sampled"):
        yield from _negatives(settings, sweep)
    if _named(gains, "nine"):
        yield from _interpolation(gains)
    if _named(gains, "scratch"):
        yield from _scratch(gains, settings)
    if len(beta):
        yield from _one_meaning(beta)


def _named(rows: pd.DataFrame, kind: str) -> list[str]:
    return [] if rows.empty else [s for s in rows["sweep"].unique() if s.partition("-")[0] == kind]


def _every(rows: pd.DataFrame, sweep: str) -> Iterable[str]:
    yield f"## Every regularizer and re-ranker: {_titled(rows)}\n"
    own = rows[rows["quantity"] == "control"].set_index("measure")["value"]
    values = [f"{HEADS[measure]} {own[measure]:.4f}" for measure in _measures(own.index)]
    yield f"Control: NDCG@10 {own['ndcg@10']:.4f}, {', '.join(values)}"
    yield "\nMean gain over the control, with its interval; the best of a column is bold.\n"
    yield from _gain_table(rows, _mean_cell)
    yield "\nGain at 98 / 95 / 90 % of the control's NDCG@10; where a series ends above that, its last gain. Bold = its"
    yield "interval is off zero; – = validation puts no setting of the series on its front in this measure.\n"
    yield from _gain_table(rows, _matched_cell)


def _without_r(settings: pd.DataFrame, sweep: str) -> Iterable[str]:
    """Baselines of the same sweep, and its control under sampled negatives: what a sceptic would try instead."""
    data, measures = sweep.partition("-")[2], _measures(settings.columns)
    own = settings[(settings["sweep"] == sweep) & settings["kind"].isin(["control", "baseline"])]
    own = own[~own["setting"].str.contains("/")].sort_values("ndcg@10", ascending=False)
    yield "\nThe control beside what reads the same data without R:\n"
    yield from _head("model | NDCG@10", measures)
    for _, row in own.iterrows():
        yield _setting_line(row["setting"], row, measures)
    sampled = settings[(settings["sweep"] == f"joint_sampled-{data}") & (settings["setting"] == "control")]
    for _, row in sampled.iterrows():
        yield _setting_line(f"control, sampled negatives, {row['seeds']} seeds", row, measures)


def _setting_line(title: str, row: pd.Series, measures: Sequence[str]) -> str:
    return f"| {title} | {' | '.join(f'{row[measure]:.4f}' for measure in ('ndcg@10', *measures))} |"


def _measures(names: Iterable[str]) -> list[str]:
    """Those of `HEADS` that were measured."""
    known = set(names)
    return [measure for measure in HEADS if measure in known]


def _head(first: str, measures: Sequence[str]) -> Iterable[str]:
    yield f"| {first} | {' | '.join(HEADS[measure] for measure in measures)} |"
    yield f"| --- |{' ---: |' * (first.count('|') + len(measures))}"


def _gain_table(rows: pd.DataFrame, cell: Cell) -> Iterable[str]:
    measures = _measures(rows["measure"])
    yield from _head("series", measures)
    best = rows[rows["quantity"] == "mean"].groupby("measure")["value"].max()
    behind = rows["kind"].eq("re-ranked") & ~rows["series"].str.endswith(" on control")
    for title, own in (
        ("Trained with R", rows[rows["kind"] == "trained"]),
        ("A re-ranker on the control", rows[rows["kind"].eq("re-ranked") & ~behind]),
        ("A re-ranker behind R", rows[behind]),
        ("Interpolated", rows[rows["kind"] == "interpolated"]),
    ):
        if own.empty:
            continue
        yield f"| *{title}* |{' |' * len(measures)}"
        for series in own["series"].unique():
            each = own[own["series"] == series].set_index(["measure", "quantity"])
            cells = [cell(each, measure, best[measure]) for measure in measures]
            yield f"| {series} | {' | '.join(cells)} |"


def _mean_cell(each: pd.DataFrame, measure: str, best: float) -> str:
    row = each.loc[(measure, "mean")]
    if _is_absent(each, measure):
        return "–"
    text = _gain(row)
    return f"**{text}**" if row["value"] == best else text


def _gain(row: pd.Series) -> str:
    return f"{row['value']:+.4f} ({row['low']:+.4f} to {row['high']:+.4f})"


def _matched_cell(each: pd.DataFrame, measure: str, best: float) -> str:
    if _is_absent(each, measure):
        return "–"
    return " / ".join(_marked(each.loc[(measure, name)]) for name in ("at_98", "at_95", "at_90"))


def _is_absent(each: pd.DataFrame, measure: str) -> bool:
    """Whether validation has put no setting of the series on its front: no gain was measured, not a gain of zero."""
    rows = each.loc[measure]
    return bool((rows[["value", "low", "high"]] == 0).all(axis=None))


def _marked(row: pd.Series) -> str:
    text = f"{row['value']:+.3f}"
    return f"**{text}**" if row["low"] > 0 or row["high"] < 0 else text


def _contests(rows: pd.DataFrame) -> Iterable[str]:
    yield "\n## R in training and a re-ranker behind it, against re-rankers alone\n"
    yield "Hypervolume beyond 90 % of the control's NDCG@10 and the control's diversity, all divided by the control's."
    yield "Ours: a regularizer at every beta; with re-rankers: MMR, DPP and the exposure re-ranker behind each (behind"
    yield "beta = 0 MMR alone). Theirs: MMR, DPP, the exposure re-ranker, and MMR with it at several prices. A finer"
    yield "grid makes a larger front: the number of points is in brackets. `exposure_mmr` is MMR with it alone.\n"
    yield "| data | ours | theirs | measures | ours | theirs | difference |"
    yield "| --- | --- | --- | --- | ---: | ---: | ---: |"
    for (_, ours, theirs, measures), each in rows.groupby(["sweep", "ours", "theirs", "measures"], sort=False):
        by = each.set_index("quantity")
        difference = by.loc["difference"]
        text = _gain(difference)
        other = by.loc["theirs", "value"]
        told = difference["low"] > 0 or difference["high"] < 0
        text = f"**{text}**" if told else text
        name = f"{each['dataset'].iloc[0]}, {each['seeds'].iloc[0]} seeds"
        sides = f"{ours} ({each['our_settings'].iloc[0]}) | {theirs} ({each['their_settings'].iloc[0]})"
        yield f"| {name} | {sides} | {measures} | {by.loc['ours', 'value']:.4f} | {other:.4f} | {text} |"


def _negatives(settings: pd.DataFrame, sweep: str) -> Iterable[str]:
    data = sweep.partition("-")[2]
    yield f"\n## The control under sampled negatives: {_titled(settings[settings['sweep'] == sweep])}\n"
    measures = _measures(settings.columns)
    yield from _head("training | NDCG@10", measures)
    for name, title in ((f"joint-{data}", "all items"), (sweep, "sampled negatives")):
        own = settings[(settings["sweep"] == name) & settings["setting"].isin(["control", f"gini-{BETA}"])]
        for _, row in own.iterrows():
            yield _setting_line(f"{title}, {row['setting']}", row, measures)


def _interpolation(gains: pd.DataFrame) -> Iterable[str]:
    yield "\n## Points between two trainings against nine trainings\n"
    yield "Nine: the control and eight betas. Points between: without the training that they lead to. A line is to"
    yield "end at the smallest beta below 90 % of the control's NDCG@10 on validation, so that it spans the band.\n"
    yield "| data | series | settings | mean gain in 1 − Gini | share of nine trainings |"
    yield "| --- | --- | ---: | ---: | ---: |"
    for sweep in _named(gains, "nine"):
        rows = gains[(gains["sweep"] == sweep) & (gains["measure"] == "1-gini@10") & (gains["quantity"] == "mean")]
        shares = gains[(gains["sweep"] == sweep) & (gains["quantity"] == SHARE)].set_index("series")
        whole = rows.loc[rows["series"] == "gini", "value"].iloc[0]
        for _, row in rows.iterrows():
            known = row["series"] in shares.index  # rows of before that have no interval of their share
            share = _percent(shares.loc[row["series"]]) if known else f"{row['value'] / whole:.0%}"
            yield f"| {_titled(rows)} | {row['series']} | {row['settings']} | {_gain(row)} | {share} |"


def _percent(row: pd.Series) -> str:
    return f"{row['value']:.0%} ({row['low']:.0%} to {row['high']:.0%})"


def _scratch(gains: pd.DataFrame, settings: pd.DataFrame) -> Iterable[str]:
    yield "\n## From scratch and from a base\n"
    yield "Mean gain over the own control, of the same steps.\n"
    measures = _measures(gains["measure"])
    yield from _head("sweep | NDCG@10 of the control | series", measures)
    for sweep in (*_named(gains, "scratch"), *_named(gains, "nine")):
        rows = gains[gains["sweep"] == sweep]
        control = rows[(rows["measure"] == "ndcg@10") & (rows["quantity"] == "control")]["value"].iloc[0]
        means = rows[rows["quantity"] == "mean"]
        for series in means["series"].unique():
            each = means[means["series"] == series].set_index("measure")
            cells = [_gain(each.loc[measure]) for measure in measures]
            yield f"| {sweep} | {control:.4f} | {series} | {' | '.join(cells)} |"
    yield "\nThe points of both:\n"
    yield from _head("sweep | setting | NDCG@10", _measures(settings.columns))
    for sweep in (*_named(gains, "scratch"), *_named(gains, "nine")):
        own = settings[(settings["sweep"] == sweep) & settings["setting"].str.fullmatch(r"control|gini-[0-9.]+")]
        for _, row in own.iterrows():
            yield _setting_line(f"{sweep} | {row['setting']}", row, _measures(settings.columns))


def _one_meaning(beta: pd.DataFrame) -> Iterable[str]:
    yield f"\n## What beta = {BETA} means\n"
    yield "`beta_scale=gradient`: ratio = |grad L| / |grad R| at the start; NDCG@10 to the control.\n"
    yield "| sweep | varied | R | ratio | NDCG@10 | 1 − Gini |"
    yield "| --- | --- | --- | ---: | ---: | ---: |"
    for _, row in beta.iterrows():
        interval = "" if pd.isna(row["low"]) else f" ({row['low']:+.1%} to {row['high']:+.1%})"
        varied = row["group"] or "R"
        yield (
            f"| {row['sweep']} | {varied} | {row['series']} | {row['ratio']:.2f} | {row['value']:+.1%}{interval} "
            f"| {row['gain']:+.4f} |"
        )


def _titled(rows: pd.DataFrame) -> str:
    first = rows.iloc[0]
    seeds = "seed 0" if int(first["seeds"]) == 1 else f"{first['seeds']} seeds"
    return f"{first['dataset']} (`{first['fingerprint']}`, {seeds})"
