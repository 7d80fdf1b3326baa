"""From records on disk to evidence: trade-off table, front, intervals, plots and report. No torch, hydra or wandb."""

from divrec.analysis.front import BandGain, band_gain, hypervolume, non_dominated, operating_point
from divrec.analysis.options import FrontOptions
from divrec.analysis.records import Sweep, read_groups, read_record, read_slates, read_sweep, read_users
from divrec.analysis.statistics import Interval, paired_user_intervals
from divrec.analysis.summary import FrontSummary, build_front, summary_table
from divrec.analysis.tradeoff import place_points, tradeoff_table

__all__ = [
    "BandGain",
    "FrontOptions",
    "FrontSummary",
    "Interval",
    "Sweep",
    "band_gain",
    "build_front",
    "hypervolume",
    "non_dominated",
    "operating_point",
    "paired_user_intervals",
    "place_points",
    "read_groups",
    "read_record",
    "read_slates",
    "read_sweep",
    "read_users",
    "summary_table",
    "tradeoff_table",
]
