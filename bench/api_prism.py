"""Prism serves our document, and the client generated from it goes the way of the manual against it.

    python -m bench.api_prism    (needs npx and the command openapi-python-client)

Prism refuses each request that the document does not allow, and answers with what the document promises; the client
refuses an answer that it cannot read.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.api import CLIENT, generate
from smsapp.api import door
from smsapp.factory import create_app
from tests.conftest import settings
from tests.journey.kannel import free_ports, listens, wait_for

PRISM = "@stoplight/prism-cli@5.16.0"
LONGEST_WAIT = 120.0
"""Seconds, as npx may have to fetch Prism first."""


def main() -> int:
    command = shutil.which(CLIENT)
    if command is None or shutil.which("npx") is None:
        sys.exit(f"npx and {CLIENT} must be in PATH")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        document = folder / "openapi.json"
        with create_app(settings(folder)).app_context():
            document.write_text(json.dumps(door.document()))
        [port] = free_ports(1)
        arguments = ["mock", str(document), "--errors", "--host", "127.0.0.1", "--port", str(port)]
        log = folder / "prism.log"
        with log.open("w") as output:
            # In a group of its own, because npx does not end what it has started.
            command_line = ["npx", "--yes", PRISM, *arguments]
            prism = subprocess.Popen(command_line, stdout=output, stderr=output, start_new_session=True)
        try:
            wait_for(lambda: listens(port), "Prism", LONGEST_WAIT)
            python, script = generate(command, str(document), folder)
            asked = [python, script, f"http://127.0.0.1:{port}", "sms_test_made-up", "made-up"]
            journey = subprocess.run(asked, env={**os.environ, "PYTHONPATH": name}, check=False)
        finally:
            os.killpg(prism.pid, signal.SIGTERM)
            prism.wait(10)
        lines = log.read_text().splitlines()
        refused = [line for line in lines if "Violation" in line]
        print(*refused, sep="\n")
        requests = sum("Request received" in line for line in lines)
        print(f"{requests} requests, {len(refused)} not as the document says, client ended with {journey.returncode}")
        return int(bool(refused) or journey.returncode)


if __name__ == "__main__":
    sys.exit(main())
