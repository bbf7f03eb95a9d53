"""Kill workers, scheduler, web, Valkey and PostgreSQL at random moments, round after round, and count.

    python -m bench.chaos [--rounds 200] [--database both|sqlite|postgresql] [--seed N] [--people 400] [--hosts auto|no]

After each round: nobody was submitted twice in a run, nobody is missing, only messages that a worker held at a kill are
unconfirmed, every number adds up and equals a recount of the rows; parts and cost are those of the texts that came. A
quarter of the rounds has its two workers in two network namespaces, where those can be made; then the network of one is
cut off now and then, too.

The seed is printed: the same one strikes the same things at the same moments after a round's start, though what the
processes are doing at that moment is up to the machine. Exit code 1 if anything was wrong.
"""

from __future__ import annotations

import argparse
import logging
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa

from bench.chaos.servers import two_hosts
from bench.chaos.story import LEVELS, PRICE, TEXT, Told, play
from bench.chaos.system import running
from smsapp.cli.reports import command as reports_command
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.db import current_session
from tests import builders

DATABASES = ("sqlite", "postgresql")
PACED = 300
"""Messages per second of the second channel, whose rate is kept in Valkey."""


def rounds(kind: str, count: int, people: int, seed: int, *, hosts: bool) -> list[Told]:
    """Play so many rounds on one system; return what they were like."""
    folder = Path(tempfile.mkdtemp(prefix="smschaos-"))
    folder.chmod(0o755)
    told: list[Told] = []
    try:
        with running(folder / "s", kind, seed, hosts=hosts) as system:
            builders.known_property("level")
            for n, level in enumerate(LEVELS):
                builders.contacts(people // 2 + (people % 2 if n else 0), level=level)
            ways = [
                (channel, builders.template(channel, text=TEXT))
                for channel in (system.channel("一"), system.channel("二", PACED))
            ]
            current_session().execute(sa.update(ChannelRow).values(price=PRICE, currency="CNY"))
            current_session().commit()
            for n in range(1, count + 1):
                one = play(system, ways[: system.dice.randint(1, 2)], people)
                told.append(one)
                _say(kind, n, one, hosts)
                if any("stuck" in line for line in one.broken):
                    _show_logs(folder / "s")
                    break
            current_session().commit()
            checked = system.app.test_cli_runner().invoke(reports_command, ["verify"], obj=None)
            print(f"flask reports verify: {checked.output.strip()}", flush=True)
            if checked.exit_code:
                told[-1].broken.append(f"reports verify: exit code {checked.exit_code}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return told


def _say(kind: str, n: int, one: Told, hosts: bool) -> None:
    where = f"{kind}{' on two hosts' if hosts else ''}"
    print(
        f"{where} round {n}: {one.seconds:5.1f} s, killed {', '.join(filter(None, one.strikes)) or 'nothing'}; "
        f"{one.messages} messages, {one.submits} came, {one.lost} of {one.held} held are "
        f"unconfirmed, {one.troubled} troubled" + "".join(f"\n    WRONG: {line}" for line in one.broken),
        flush=True,
    )


def _show_logs(folder: Path) -> None:
    for log in sorted(folder.glob("*.log")):
        print(f"--- {log.name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-15:]))


def in_all(told: Sequence[Told], begun: float, seed: int) -> None:
    struck = Counter(name.partition("/")[0].rstrip("-0123456789") for one in told for name in one.strikes if name)
    print(
        f"\n{len(told)} rounds in {(time.monotonic() - begun) / 60:.1f} min, seed {seed}: "
        f"{sum(one.messages for one in told)} messages, {sum(one.submits for one in told)} came, "
        f"{sum(one.lost for one in told)} unconfirmed of {sum(one.held for one in told)} held at kills, "
        f"{sum(one.troubled for one in told)} given trouble by the provider; "
        f"{sum(one.parts for one in told)} parts of accepted messages came, "
        f"{sum(one.billed for one in told)} are billed, "
        f"cost {sum((one.cost for one in told), start=PRICE * 0)} CNY.\nKilled: "
        + ", ".join(f"{name} {n}" for name, n in struck.most_common())
        + f"\nRounds with something wrong: {sum(bool(one.broken) for one in told)}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200, help="over all databases together")
    parser.add_argument("--database", choices=("both", *DATABASES), default="both")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--people", type=int, default=400)
    parser.add_argument("--hosts", choices=("auto", "no", "only"), default="auto")
    given = parser.parse_args()
    logging.disable(logging.CRITICAL)
    print(f"seed {given.seed}", flush=True)
    begun = time.monotonic()
    kinds = DATABASES if given.database == "both" else (given.database,)
    each = max(1, given.rounds // len(kinds))
    apart = {"auto": each // 4, "no": 0, "only": each}[given.hosts]
    told: list[Told] = []
    for place, kind in enumerate(kinds):
        with two_hosts() as there:
            if apart and not there:
                print("network namespaces cannot be made here; all rounds are played on one host", flush=True)
            far = apart if there else 0
            if far:
                told += rounds(kind, far, given.people, given.seed + 10 * place, hosts=True)
        if each - far:
            told += rounds(kind, each - far, given.people, given.seed + 10 * place + 1, hosts=False)
    in_all(told, begun, given.seed)
    return int(any(one.broken for one in told))


if __name__ == "__main__":
    sys.exit(main())
