"""The README's and the page's own words, run."""

import gzip
import json
import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from data.small_logs import DAY, START
from divrec.data import rules
from divrec.data.rules import late_event_rules

ROOT = Path(__file__).parents[2]


def _shop(folder: Path) -> None:
    (folder / "my_shop").mkdir()
    orders = [
        f"c{user};sku-{(user + 2 * day + place) % 8};{START + day * DAY + user}"
        for day in range(30)
        for user in range(9)
        for place in range(2)
    ]
    (folder / "my_shop" / "orders.csv").write_text("\n".join(["customer;sku;bought_at", *orders]))
    products = [f"sku-{item},product {item},group {item % 3}" for item in range(8)]
    (folder / "my_shop" / "products.csv").write_text("\n".join(["sku,name,group", *products]))


def test_the_readme_prepares_somebodys_own_csv(tmp_path: Path) -> None:
    _shop(tmp_path)
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text[text.index("## Your own logs") :]
    command = re.search(r"```bash\n(.*?)```", section, re.DOTALL).group(1)
    assert len(command.strip().splitlines()) <= 5
    command = command.strip().replace("python", sys.executable, 1) + " data.preparation.repeats=keep"
    done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "9 users" in done.stdout
    folder = next((tmp_path / "outputs" / "datasets").iterdir())
    assert (folder / "data_card.html").is_file()


def test_the_pages_own_config_reads_a_shop(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    config = re.search(r"```yaml\n(.*?)```", page, re.DOTALL).group(1)
    (tmp_path / "conf" / "data").mkdir(parents=True)
    (tmp_path / "conf" / "data" / "shop.yaml").write_text(config)
    (tmp_path / "logs").mkdir()
    rows = [
        {
            "customer": user,
            "sku": (user + 2 * day + place) % 8,
            "at": f"2024-03-{1 + day:02d}",
            "action": kind,
            "qty": 1,
        }
        for day in range(30)
        for user in range(9)
        for place, kind in ((0, "buy"), (1, "buy"), (1, "send_back"))
    ]
    with gzip.open(tmp_path / "logs" / "2024-03.jsonl.gz", "wt") as stream:
        stream.write("\n".join(json.dumps(row) for row in rows))
    items = [
        {"sku": str(item), "name": f"thing {item}", "maker": None, "path": f"A>B{item % 2}>C"} for item in range(8)
    ]
    pq.write_table(
        pa.Table.from_pylist(items).cast(pa.schema([(name, pa.string()) for name in items[0]])),
        tmp_path / "products.parquet",
    )
    command = [sys.executable, "-m", "divrec.run.data", "data=shop", f"hydra.searchpath=[file://{tmp_path}/conf]"]
    command += ["data.preparation.repeats=keep", "data.preparation.core=1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    manifest = json.loads(next((tmp_path / "outputs" / "datasets").glob("*/manifest.json")).read_text())
    assert manifest["category_names"] == ["B0", "B1"]
    assert manifest["left_out"]["events that remove others"] == 270
    assert manifest["event_kinds"] == ["purchase"]


def test_the_page_lists_every_rule() -> None:
    page = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    known = [*rules.EARLY_EVENT_RULES, rules.ITEM_CASE, rules.USER_CASE, rules.DUPLICATE_EVENT]
    known += [*late_event_rules(["purchase"], 0), *rules.CATALOGUE_RULES]
    table = page[page.index("| key | rule |") : page.index("## Splits")]
    listed = set(re.findall(r"`([a-z_]+)`", " ".join(line.split("|")[1] for line in table.splitlines() if "|" in line)))
    assert listed == {rule.key for rule in known}
    for rule in known:
        line = next(each for each in table.splitlines() if f"`{rule.key}`" in each)
        assert line.split("|")[3].split("(")[0].strip().replace(" ", "_") == rule.default
