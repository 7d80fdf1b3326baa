"""A saved W&B workspace of one sweep: the trade-off as it comes about, the front, and the training behind it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from divrec.errors import ConfigError

if TYPE_CHECKING:
    from wandb_workspaces.workspaces.interface import Section, Workspace

ACCURACY = "ndcg"
DIVERSITY = ("gini", "coverage", "simpson", "ilad", "ilmd")
STEP = "trainer/global_step"


def tradeoff_workspace(sweep: str, project: str, entity: str, k: int = 10) -> Workspace:
    """Build the workspace; nothing is sent.

    Args:
        sweep: name of the sweep, which is the group of its runs in W&B.
        project: W&B project.
        entity: W&B user or team.
        k: size of the lists that the panels show.

    Raises:
        ConfigError: if wandb-workspaces is not installed.
    """
    try:
        from wandb_workspaces import expr
        from wandb_workspaces.workspaces import interface as workspaces
    except ImportError as error:
        raise ConfigError(
            "a saved workspace needs wandb-workspaces", where="dashboard", mend="Run `pip install 'divrec[dashboard]'`."
        ) from error
    columns = [f"summary:{split}/{name}@{k}" for split in ("validation", "test") for name in (ACCURACY, *DIVERSITY)]
    return workspaces.Workspace(
        entity=entity,
        project=project,
        name=f"{sweep} trade-off",
        sections=[_tradeoff(k), _front(k), _training(k)],
        settings=workspaces.WorkspaceSettings(x_axis=STEP, max_runs=100),
        runset_settings=workspaces.RunsetSettings(
            filters=expr.And(expr.Metric("Group") == sweep),
            pinned_columns=["config:kind", "config:beta", *columns, "summary:cost/fit_seconds"],
        ),
    )


def spec_of(workspace: Workspace) -> dict[str, Any]:
    """The workspace as the server would store it."""
    spec: dict[str, Any] = json.loads(workspace._to_model().spec.model_dump_json(by_alias=True, exclude_none=True))
    return spec


def save(workspace: Workspace) -> str:
    """Save it on the server and give its address. Needs a connection and a key."""
    saved = workspace.save()  # type: ignore[no-untyped-call]
    return str(saved.url)


def _tradeoff(k: int) -> Section:
    """Where each run stands (from its latest validation on), and the way it came, for each pair of measures."""
    from wandb_workspaces.reports.v2 import interface as panels
    from wandb_workspaces.workspaces.interface import Section

    accuracy = f"{ACCURACY}@{k}"
    stands = [
        panels.ScatterPlot(
            title=f"{accuracy} against {name}@{k} (validation)",
            x=panels.SummaryMetric(f"validation/{name}@{k}"),
            y=panels.SummaryMetric(f"validation/{accuracy}"),
        )
        for name in DIVERSITY
    ]
    way = panels.LinePlot(
        title=f"{accuracy} against {DIVERSITY[0]}@{k}, on the way (validation)",
        x=f"validation/{DIVERSITY[0]}@{k}",
        y=[f"validation/{accuracy}"],
    )
    return Section("Trade-off", panels=[*stands, way], is_open=True, pinned=True)


def _front(k: int) -> Section:
    from wandb_workspaces.reports.v2 import interface as panels
    from wandb_workspaces.workspaces.interface import Section

    reported = [
        panels.ScatterPlot(
            title=f"{ACCURACY}@{k} against {name}@{k} (test)",
            x=panels.SummaryMetric(f"test/{name}@{k}"),
            y=panels.SummaryMetric(f"test/{ACCURACY}@{k}"),
        )
        for name in DIVERSITY
    ]
    media = panels.MediaBrowser(title="Front", media_keys=["front/picture", "front/report"])
    table = panels.WeavePanelSummaryTable(table_name="front/table")
    return Section("Front", panels=[media, table, *reported], is_open=True)


def _training(k: int) -> Section:
    from wandb_workspaces.reports.v2 import interface as panels
    from wandb_workspaces.workspaces.interface import Section

    losses = [panels.LinePlot(title=name, x=STEP, y=[name]) for name in ("loss/total", "loss/task")]
    terms = panels.LinePlot(title="regularizers", x=STEP, metric_regex="loss/diversity/.*")
    validated = [
        panels.LinePlot(title=f"{name}@{k}", x=STEP, y=[f"validation/{name}@{k}"]) for name in (ACCURACY, *DIVERSITY)
    ]
    return Section("Training", panels=[*losses, terms, *validated], is_open=True)
