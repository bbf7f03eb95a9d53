"""/metrics and what is made from it: who may read it, what it says, what Prometheus and Grafana do with it."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import redis
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families

from config import HERE
from smsapp.channels.types import Callback
from smsapp.domain import metrics as catalogue
from smsapp.services.channels import provider_calls
from smsapp.services.monitoring import health
from smsapp.services.platform import clock, metrics_folder
from smsapp.services.receipts import callback_inbox
from smsapp.services.sending import sweeping
from smsapp.store import last_checks, queue
from smsapp.store.channels import channel_health
from smsapp.store.db import writing
from smsapp.web import metrics
from tests import builders
from tests.conftest import FERNET_KEY

MONITORING = HERE / "deploy" / "monitoring"
NAMES = {metric.full_name: metric for metric in catalogue.METRICS}
SUFFIXES = ("_bucket", "_sum", "_count")
Samples = dict[str, float]


@pytest.fixture
def app(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """An application whose metrics are shown for a token, and whose clock stands still."""
    app.config["METRICS_TOKEN"] = "geheim"
    moment = clock.now()
    monkeypatch.setattr(clock, "now", lambda: moment)
    return app


def read(app: Flask) -> str:
    metrics.gathered.forget()
    answer = app.test_client().get("/metrics", headers={"Authorization": "Bearer geheim"})
    assert answer.status_code == 200
    return answer.text


def samples(text: str) -> Samples:
    """Return {name[label]..: value}, labels in the order of their names."""
    return {
        sample.name + "".join(f"[{value}]" for value in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_without_the_token_nothing_is_told(app: Flask) -> None:
    browser = app.test_client()
    for headers in ({}, {"Authorization": "Bearer falsch"}, {"Authorization": "geheim"}):
        assert browser.get("/metrics", headers=headers).status_code == 401
    app.config["METRICS_TOKEN"] = ""
    assert browser.get("/metrics", headers={"Authorization": "Bearer "}).status_code == 404


def test_the_own_port_answers_metrics_and_checks_only(app: Flask) -> None:
    app.config["METRICS_PORT"] = 9464
    app.before_request_funcs[None].insert(0, metrics._only_metrics)
    browser = app.test_client()
    assert browser.get("/metrics", base_url="http://localhost:9464").status_code == 200
    assert browser.get("/readyz", base_url="http://localhost:9464").status_code == 200
    assert browser.get("/sign-in", base_url="http://localhost:9464").status_code == 404
    assert browser.get("/metrics", base_url="http://localhost:8000").status_code == 401


def test_every_metric_of_the_catalogue_is_there_and_no_other(app: Flask) -> None:
    read(app)  # itself a request that is measured
    shown = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in text_string_to_metric_families(read(app))
    }
    assert {name for name in shown if not name.endswith("_created")} == set(NAMES)


def test_numbers_come_from_the_database_and_redis(app: Flask, now: dt.datetime) -> None:
    channel = builders.channel(name="阿里 13800138000")
    builders.campaign(status="waiting", next_due_at=clock.now() - dt.timedelta(minutes=4))
    callback_inbox.store(
        channel.id, [Callback("POST", "", {}, b"a receipt", "")], clock.now() - dt.timedelta(minutes=3)
    )
    queue.enqueue(queue.SEND, "send", 1)
    with writing() as session:
        channel_health.add(session, channel.id, {("ok", ""): 5, ("account_error", "balance"): 2}, now)
    health.note_numbers(clock.now())
    text = read(app)
    found = samples(text)
    assert found["smsapp_database_up"] == found["smsapp_redis_takes_writes"] == 1
    assert found["smsapp_queue_jobs[send]"] == 1
    assert found["smsapp_campaign_overdue_seconds"] == 240
    assert found["smsapp_inbox_unread_callbacks"] == 1
    assert found["smsapp_inbox_oldest_seconds"] == 180
    assert found[f"smsapp_channel_messages_total[{channel.id}][balance][account_error]"] == 2
    assert found["smsapp_numbers_off[latest]"] == 0
    assert "13800138000" not in text


def test_the_sweep_says_when_it_ended(app: Flask) -> None:
    sweeping.sweep(clock.now() - dt.timedelta(seconds=100))
    assert samples(read(app))["smsapp_sweep_age_seconds"] == 100


def test_a_total_does_not_fall_when_old_hours_go(app: Flask, now: dt.datetime) -> None:
    channel = builders.channel()
    long_ago = now - provider_calls.KEPT - dt.timedelta(days=1)
    for at, n in ((long_ago, 3), (long_ago - dt.timedelta(hours=2), 4), (now, 5)):
        with writing() as session:
            channel_health.add(session, channel.id, {("ok", ""): n}, at)
    for _ in range(2):
        provider_calls.forget_old(now)
        assert samples(read(app))[f"smsapp_channel_messages_total[{channel.id}][][ok]"] == 12
    with writing() as session:
        assert [n for _, _, _, n in channel_health.hours(session, channel.id, long_ago)] == [5]


def test_without_redis_the_rest_is_told(app: Flask) -> None:
    app.extensions[queue.EXTENSION] = queue.connect("redis://127.0.0.1:1/0")
    found = samples(read(app))
    assert (found["smsapp_redis_up"], found["smsapp_database_up"]) == (0, 1)
    assert "smsapp_messages_unconfirmed" in found
    assert not any(name.startswith("smsapp_queue_jobs") for name in found)


def test_a_lost_note_is_no_error(app: Flask, valkey: redis.Redis) -> None:
    valkey.delete(last_checks.KEY)
    assert last_checks.noted() == {}


def test_processes_answer_for_each_other(tmp_path: Path) -> None:
    """Two processes measure a request each; either tells both."""
    code = (
        "from smsapp.web import metrics; from prometheus_client import CollectorRegistry, generate_latest;"
        "from prometheus_client.multiprocess import MultiProcessCollector as M;"
        "metrics._series('up', '2xx').observe(1);"
        "registry = CollectorRegistry(); M(registry); print(generate_latest(registry).decode())"
    )
    environment = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    for n in (1, 2):
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=HERE, env=environment, check=True, capture_output=True, text=True
        )
        assert f'smsapp_web_request_seconds_count{{area="up",status="2xx"}} {n}.0' in done.stdout


def test_gunicorn_cleans_the_folder_of_processes_that_ended(tmp_path: Path) -> None:
    environment = os.environ | {"INSTANCE_DIR": str(tmp_path), "SECRET_KEY": "x", "ENCRYPTION_KEY": FERNET_KEY}
    code = (
        "import os, runpy; from smsapp.services.platform import metrics_folder; from pathlib import Path;"
        "folder = metrics_folder.prepare(Path(os.environ['INSTANCE_DIR']));"
        "(folder / 'histogram_99999999.db').touch(); (folder / f'counter_{os.getpid()}.db').touch();"
        "bind = runpy.run_path('gunicorn.conf.py')['bind'];"
        "print(bind, sorted(path.name.split('_')[0] for path in folder.iterdir()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=HERE,
        env=environment | {"METRICS_PORT": "9464"},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "['127.0.0.1:8000', '127.0.0.1:9464'] ['counter']"


def named(text: str) -> set[str]:
    """Return the metrics that an expression names, without the ending of a histogram's series."""
    names = set(re.findall(r"\bsmsapp_[a-z_]+", text))
    return {
        next((name.removesuffix(end) for end in SUFFIXES if name.removesuffix(end) in NAMES), name) for name in names
    }


def test_dashboard_and_alerts_name_metrics_that_exist() -> None:
    alerts = re.sub(r"#.*", "", (MONITORING / "smsapp-alerts.yaml").read_text())
    dashboard = json.loads((MONITORING / "grafana-dashboard.json").read_text())
    shown = {name for panel in dashboard["panels"] for target in panel["targets"] for name in named(target["expr"])}
    assert named(alerts) - set(NAMES) == set()
    assert shown - set(NAMES) == set()
    assert set(NAMES) - shown - named(alerts) == set()


def test_each_alert_says_what_to_do_and_where_it_is_written() -> None:
    text = (HERE / "docs" / "administrators.md").read_text()
    headings = {
        re.sub(r"[^a-z0-9 -]", "", line[3:].lower()).replace(" ", "-")
        for line in text.splitlines()
        if line.startswith("## ")
    }
    alerts = (MONITORING / "smsapp-alerts.yaml").read_text()
    anchors = re.findall(r"runbook: docs/administrators\.md#(\S+)", alerts)
    n = alerts.count("- alert: ")
    assert n == len(anchors) == alerts.count("summary: ") == alerts.count("action: ") == alerts.count("severity: ") > 20
    assert set(anchors) <= headings


@pytest.mark.parametrize(
    "arguments", [("check", "rules", "smsapp-alerts.yaml"), ("test", "rules", "smsapp-alerts-test.yaml")]
)
def test_prometheus_takes_the_alerts_and_raises_them(arguments: tuple[str, ...]) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("PROMTOOL IS NOT INSTALLED: the alert rules were not checked (apt install prometheus)")
    done = subprocess.run([promtool, *arguments], cwd=MONITORING, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_document_lists_every_metric_as_the_code_does() -> None:
    rows = [
        f"| `{metric.full_name}` | {metric.type} | {', '.join(metric.labels)} | {metric.help} |"
        for metric in catalogue.METRICS
    ]
    text = (HERE / "docs" / "monitoring.md").read_text()
    assert "\n".join(rows) in text, "\n".join(rows)


def test_numbers_of_processes_are_kept_in_memory_where_no_full_disk_kills_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory, instance = tmp_path / "memory", tmp_path / "instance"
    monkeypatch.setattr(metrics_folder, "MEMORY", memory)
    # where there is no such place, they are in the instance folder
    assert metrics_folder.prepare(instance).is_relative_to(instance)
    memory.mkdir()
    folder = metrics_folder.prepare(instance)
    assert folder.parent == memory
    assert metrics_folder.prepare(tmp_path / "another") != folder
    # files of processes that have ended are removed, those of others stay
    for pid in (os.getpid(), 2**22 + 1):
        (folder / f"counter_{pid}.db").touch()
    assert metrics_folder.prepare(instance) == folder
    assert [file.name for file in folder.iterdir()] == [f"counter_{os.getpid()}.db"]


@pytest.mark.parametrize("trap", ["link", "open to all"])
def test_a_folder_that_somebody_else_prepared_in_memory_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trap: str
) -> None:
    memory, instance = tmp_path / "memory", tmp_path / "instance"
    memory.mkdir()
    monkeypatch.setattr(metrics_folder, "MEMORY", memory)
    folder = metrics_folder.prepare(instance)
    if trap == "link":
        folder.rename(tmp_path / "elsewhere")
        folder.symlink_to(tmp_path / "elsewhere")
    else:
        folder.chmod(0o777)
    assert metrics_folder.prepare(instance).is_relative_to(instance)
