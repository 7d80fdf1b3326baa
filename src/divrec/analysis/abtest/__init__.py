"""A/B tests: assignment, checks, effects, always-valid intervals, planning, guardrails, and estimates from logs."""

from divrec.analysis.abtest.assignment import Assignment, position
from divrec.analysis.abtest.effects import Effect, cuped, difference_of_means, difference_of_ratios
from divrec.analysis.abtest.guardrails import HARMED, SAFE, UNDECIDED, Guardrail, judge_guardrails
from divrec.analysis.abtest.health import SampleRatio, sample_ratio
from divrec.analysis.abtest.logs import ExperimentUsers, experiment_users
from divrec.analysis.abtest.planning import Design, days_needed, power_of, smallest_effect, users_needed
from divrec.analysis.abtest.policy import LoggedEvents, doubly_robust, inverse_propensity, self_normalized
from divrec.analysis.abtest.sequential import MINIMUM_USERS, always_valid_interval, always_valid_p
from divrec.analysis.abtest.shown import difference_of_set_diversity, diversity_shown
from divrec.analysis.abtest.shown_lists import LIST_LEVEL, difference_of_list_diversity, list_diversity

__all__ = [
    "HARMED",
    "LIST_LEVEL",
    "MINIMUM_USERS",
    "SAFE",
    "UNDECIDED",
    "Assignment",
    "Design",
    "Effect",
    "ExperimentUsers",
    "Guardrail",
    "LoggedEvents",
    "SampleRatio",
    "always_valid_interval",
    "always_valid_p",
    "cuped",
    "days_needed",
    "difference_of_list_diversity",
    "difference_of_means",
    "difference_of_ratios",
    "difference_of_set_diversity",
    "diversity_shown",
    "doubly_robust",
    "experiment_users",
    "inverse_propensity",
    "judge_guardrails",
    "list_diversity",
    "position",
    "power_of",
    "sample_ratio",
    "self_normalized",
    "smallest_effect",
    "users_needed",
]
