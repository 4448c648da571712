"""What the monitoring page, the alert rules and the dashboard name, a scheduler tells."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml
from prometheus_client import generate_latest

from gnomon.app.parts import open_parts
from gnomon.core.records import Cause, RunRecord, SkipReason, SkipRecord
from gnomon.core.states import State
from gnomon.operations.settings import load_settings
from gnomon.web.metrics import registry_of
from gnomon.web.service import Service

ROOT = Path(__file__).resolve().parents[2]
_NAME = re.compile(r"\b(?:gnomon|process)_[a-z_]+\b")


def told(tmp_path: Path) -> str:
    """All metrics of a scheduler that has done a little."""
    settings = load_settings({"db": f"sqlite:///{tmp_path}/g.db"}, {}, search=False)
    with open_parts(settings, upgrade=True) as parts:
        now = parts.clock.now()
        run = RunRecord(
            *("r", "a", 1, State.FAILED, Cause.SCHEDULE, "k", now, now, "r", "x"), duration_s=1, lateness_s=1
        )
        parts.tally.ended([run], [SkipRecord("a:default", "a", now, now, 1, SkipReason.OVERLAP, "", now)])
        service = Service(lambda actor, address: parts.desk(actor), parts.clock, tally=parts.tally, quiet_s=lambda: 1.0)
        return generate_latest(registry_of(service)).decode()


def test_every_metric_that_is_named_exists(tmp_path: Path) -> None:
    text = told(tmp_path)
    known = set(re.findall(r"^([a-z_]+)(?:\{| )", text, re.M)) | {"process_"}
    named = {
        "docs/monitoring.md": set(_NAME.findall((ROOT / "docs/monitoring.md").read_text())),
        "packaging/prometheus-rules.yaml": set(_NAME.findall((ROOT / "packaging/prometheus-rules.yaml").read_text())),
        "packaging/grafana-dashboard.json": set(_NAME.findall((ROOT / "packaging/grafana-dashboard.json").read_text())),
    }
    histograms = {name.removesuffix("_bucket") for name in known if name.endswith("_bucket")}
    for file, names in named.items():
        assert len(names) > 5, file
        assert names - known - histograms - {"gnomon_slots", "gnomon_slots_used"} == set(), file
    documented = named["docs/monitoring.md"]
    own = {re.sub(r"_(bucket|sum|count)$", "", name) for name in known if name.startswith("gnomon_")}
    assert own - documented - {name for name in own if name.endswith("_created")} == set(), "every metric has its row"


def test_rules_and_dashboard_can_be_read() -> None:
    rules = yaml.safe_load((ROOT / "packaging/prometheus-rules.yaml").read_text())
    assert all({"alert", "expr", "annotations"} <= rule.keys() for rule in rules["groups"][0]["rules"])
    dashboard = json.loads((ROOT / "packaging/grafana-dashboard.json").read_text())
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    assert all(target["expr"] for panel in dashboard["panels"] for target in panel["targets"])
