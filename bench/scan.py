"""Scanners against the product: served with demo data on loopback, signed in as an administrator, for so many minutes.

    python -m bench.scan wapiti /tmp/wapiti/bin/wapiti [--minutes 10]
    python -m bench.scan sqlmap /tmp/sqlmap/bin/sqlmap [--minutes 10]

The tools are no dependencies: install each into an environment of its own (`pip install wapiti3`, `pip install sqlmap`)
and hand its path over. wapiti crawls by itself. sqlmap is given every address with parameters that is linked, every
form (its token is fetched anew) and a record of `/up`, one of each shape, and looks closer (--smart) where an answer
seems to depend on SQL. Exit code 1 if a tool found something or the product answered
with a fault of its own (5xx).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from html.parser import HTMLParser
from pathlib import Path

from bench.idle import serving
from bench.soak import sign_in
from bench.stage import BY
from config import Config
from smsapp.domain.trust import KeyKind
from smsapp.factory import create_app
from smsapp.services.apps import app_keys
from smsapp.services.platform import clock

MODULES = "cookieflags,crlf,csp,csrf,exec,file,http_headers,methods,permanentxss,redirect,sql,timesql,upload,xss"
"""Of wapiti; the others need a server on the internet, or look for what this product has not (LDAP): a filter whose
list grows shorter with its words looks like an injection to them."""
EXPECTED = {"Secure Flag cookie"}
"""Loopback has no TLS; SECURE_COOKIES sets the flag."""
ENDS_THE_SESSION = ("/sign-out", "/account/", "/users/")
PAGES = 400
TOKEN = "csrf_token"
FOUND = re.compile(r"^Parameter: |^    Type: |is vulnerable|appears to be .*injectable| is '.*' injectable")
"""Lines of sqlmap that tell of a parameter that changes an SQL statement."""


@dataclass(frozen=True)
class Target:
    """An address with parameters, and the body of a POST."""

    url: str
    body: str = ""
    kind: str = ""
    """Content type, if the body is no form."""


class Links(HTMLParser):
    """The links and forms of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.forms: list[tuple[str, str, dict[str, str]]] = []
        """(method, action, fields)"""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note links, forms and their fields."""
        given = {name: value or "" for name, value in attrs}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag == "form":
            self.forms.append((given.get("method", "get").lower(), given.get("action", ""), {}))
        elif tag in {"input", "select", "textarea"} and given.get("name") and self.forms:
            self.forms[-1][2][given["name"]] = given.get("value", "") or "1"


def crawl(address: str, cookie: str) -> tuple[list[Target], int]:
    """Return what has parameters, one of each shape, and how many pages were read."""
    waiting, seen = deque(["/"]), {"/"}
    shapes: dict[tuple[str, ...], Target] = {}
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    read = 0
    while waiting and read < PAGES:
        path = waiting.popleft()
        asked = urllib.request.Request(address + path, headers={"Cookie": cookie})
        with contextlib.suppress(OSError), opener.open(asked, timeout=60) as answer:
            if "html" not in answer.headers.get("Content-Type", ""):
                continue
            read += 1
            page = Links()
            page.feed(answer.read().decode())
            forms = [
                (method, urllib.parse.urljoin(answer.url, action), fields) for method, action, fields in page.forms
            ]
            links = [urllib.parse.urljoin(answer.url, link).partition("#")[0] for link in page.links]
            links += [
                f"{action}?{urllib.parse.urlencode(fields)}" for method, action, fields in forms if method == "get"
            ]
            targets = [Target(link) for link in links if "?" in link]
            targets += [
                Target(action, urllib.parse.urlencode(fields)) for method, action, fields in forms if method == "post"
            ]
            for target in targets:
                if target.url.startswith(address) and not any(path in target.url for path in ENDS_THE_SESSION):
                    shapes.setdefault(shape(target), target)
            for link in links:
                following = link.removeprefix(address)
                if following.startswith("/") and following not in seen and not following.startswith("/static"):
                    seen.add(following)
                    waiting.append(following)
    return list(shapes.values()), read


def shape(target: Target) -> tuple[str, ...]:
    """Return what targets have in common that differ in values only."""
    parts = urllib.parse.urlsplit(target.url)
    names = [name for name, _ in urllib.parse.parse_qsl(f"{parts.query}&{target.body}", keep_blank_values=True)]
    return re.sub(r"\d+", "0", parts.path), *sorted(set(names))


def run(command: list[str], seconds: float, folder: Path) -> str:
    """Run a tool for so long at most; return what it printed."""
    print("$", " ".join(part if len(part) < 120 else f"{part[:40]}.." for part in command), flush=True)
    with (folder / "output").open("w+") as output:
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(command, stdout=output, stderr=output, cwd=folder, timeout=seconds, check=False)
        output.seek(0)
        return output.read()


def wapiti(tool: str, address: str, cookie: str, _appid: str, seconds: float, folder: Path) -> list[str]:
    """Return wapiti's findings."""
    report = folder / "report.json"
    excluded = [word for path in ENDS_THE_SESSION for word in ("-x", f"{address}{path}*")]
    command = [tool, "-u", f"{address}/", "-C", cookie, "-m", MODULES, *excluded]
    command += ["--scope", "domain", "-d", "6", "--max-links-per-page", "60", "--max-files-per-dir", "40"]
    command += ["--max-scan-time", str(int(seconds * 0.4)), "--max-attack-time", str(int(seconds * 0.6 / 12))]
    command += ["--no-bugreport", "--flush-session", "--store-session", str(folder), "-f", "json", "-o", str(report)]
    output = run([*command, "--tasks", "4", "-v", "1"], seconds + 120, folder)
    print(*output.splitlines()[-40:], sep="\n")
    if not report.exists():
        return ["wapiti made no report"]
    content = json.loads(report.read_text())
    print(f"wapiti read {content['infos'].get('crawled_pages_nbr', '?')} pages")
    return [
        f"{name}: {finding['method']} {finding['path']} {finding.get('parameter') or ''} {finding['info']}"
        for section in ("vulnerabilities", "anomalies")
        for name, findings in content[section].items()
        if name not in EXPECTED
        for finding in findings
    ]


def sqlmap(
    tool: str, address: str, cookie: str, appid: str, seconds: float, folder: Path, *, first: int = 0
) -> list[str]:
    """Return sqlmap's findings, target by target."""
    targets, pages = crawl(address, cookie)
    record = [{"appid": appid, "xwho": "scan", "xwhat": "$profile_set", "xcontext": {"level": "1", "$lib": "Python"}}]
    targets.append(Target(f"{address}/up?appid={appid}", json.dumps(record), "application/json"))
    print(f"{pages} pages, {len(targets)} shapes of addresses and forms")
    ends, findings = time.monotonic() + seconds, []
    for n, target in enumerate(targets[first:], first):
        left = ends - time.monotonic()
        if left <= 0:
            print(f"time is up: go on with --first {n}")
            break
        command = [
            tool,
            "-u",
            target.url,
            "--batch",
            "--level",
            "2",
            "--risk",
            "2",
            "--dbms",
            "SQLite",
            "--flush-session",
        ]
        command += ["--cookie", cookie, "--drop-set-cookie", "--output-dir", str(folder / "out"), "--disable-coloring"]
        command += ["--skip", f"{TOKEN},user-agent,referer", "--technique", "BEUST", "--time-sec", "2", "--smart"]
        if target.body:
            command += ["--data", target.body]
        if target.kind:
            command += ["-H", f"Content-Type: {target.kind}"]
        elif TOKEN in target.body:
            command += ["--csrf-token", TOKEN, "--csrf-url", f"{address}/account"]
        output = run(command, min(left, seconds / 5), folder)
        findings += [f"{target.url}: {line.strip()}" for line in output.splitlines() if FOUND.search(line)]
    return findings


@contextlib.contextmanager
def shop(folder: Path) -> Iterator[tuple[str, str, str, Path]]:
    """Serve the product with demo data; yield address, an administrator's cookie, an AppKey and the folder of logs."""
    environ = {"INSTANCE_DIR": str(folder), "UP_REQUESTS_PER_MINUTE": "1000000", "LOG_LEVEL": "WARNING"}
    app = create_app(Config.read({**os.environ, **environ}))
    with serving(folder, environ, demo=True) as (_server, address), app.app_context():
        key = app_keys.create("scan", KeyKind.SERVER, BY, clock.now()).key
        yield address, sign_in(address), key, folder / "logs"


def faults(logs: Path) -> list[str]:
    """Return the errors that the product has logged, each with what ends its traceback."""
    lines = [line for log in sorted(logs.glob("*.log")) for line in log.read_text(errors="replace").splitlines()]
    return [line for line in lines if " ERROR " in line or re.match(r"[\w.]+(Error|Exception|Header)\b.*: ", line)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tool", choices=("wapiti", "sqlmap"))
    parser.add_argument("path", help="of the tool's command")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--first", type=int, default=0, help="with which target sqlmap begins")
    options = parser.parse_args()
    scan = wapiti if options.tool == "wapiti" else partial(sqlmap, first=options.first)
    with tempfile.TemporaryDirectory(prefix="smsscan-") as name:
        folder = Path(name)
        (folder / "tool").mkdir()
        with shop(folder / "instance") as (address, cookie, appid, logs):
            findings = scan(options.path, address, cookie, appid, options.minutes * 60, folder / "tool")
            errors = faults(logs)
    print(*(f"FOUND {finding}" for finding in findings), *(f"LOGGED {line}" for line in errors), sep="\n")
    print(f"{options.tool}: {len(findings)} findings, {len(errors)} errors logged by the product")
    return int(bool(findings or errors))


if __name__ == "__main__":
    sys.exit(main())
