"""Kill workers, scheduler, web, Valkey and PostgreSQL at random moments, round after round, and count.

    python -m bench.chaos [--rounds 200] [--database both|sqlite|postgresql] [--seed N] [--people 400] [--hosts auto|no]

After each round: nobody was submitted twice in a run, nobody is missing, only messages in flight at a kill are
unconfirmed, every number adds up and equals a recount of the rows; parts and cost are those of the texts that came. In
a quarter of the rounds the two workers are in two network namespaces, if these can be made; then the network of one is
cut now and then, too.

The seed is printed: the same one kills the same processes at the same moments after a round's start, though what they
do at that moment depends on the machine. Exit code 1 if anything was wrong.
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
    """Play so many rounds on one system; return their results."""
    folder = Path(tempfile.mkdtemp(prefix="smschaos-"))
    folder.chmod(0o755)
    results: list[Told] = []
    try:
        with running(folder / "s", kind, seed, hosts=hosts) as system:
            builders.known_property("level")
            for n, level in enumerate(LEVELS):
                builders.contacts(people // 2 + (people % 2 if n else 0), level=level)
            routes = [
                (channel, builders.template(channel, text=TEXT))
                for channel in (system.channel("一"), system.channel("二", PACED))
            ]
            current_session().execute(sa.update(ChannelRow).values(price=PRICE, currency="CNY"))
            current_session().commit()
            for n in range(1, count + 1):
                result = play(system, routes[: system.dice.randint(1, 2)], people)
                results.append(result)
                _say(kind, n, result, hosts)
                if any("stuck" in line for line in result.broken):
                    _show_logs(folder / "s")
                    break
            current_session().commit()
            verification = system.app.test_cli_runner().invoke(reports_command, ["verify"], obj=None)
            print(f"flask reports verify: {verification.output.strip()}", flush=True)
            if verification.exit_code:
                results[-1].broken.append(f"reports verify: exit code {verification.exit_code}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return results


def _say(kind: str, n: int, result: Told, hosts: bool) -> None:
    where = f"{kind}{' on two hosts' if hosts else ''}"
    print(
        f"{where} round {n}: {result.seconds:5.1f} s, killed {', '.join(filter(None, result.strikes)) or 'nothing'}; "
        f"{result.messages} messages, {result.submits} came, {result.lost} of {result.held} held unconfirmed, "
        f"{result.troubled} troubled" + "".join(f"\n    WRONG: {line}" for line in result.broken),
        flush=True,
    )


def _show_logs(folder: Path) -> None:
    for log in sorted(folder.glob("*.log")):
        print(f"--- {log.name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-15:]))


def in_all(results: Sequence[Told], begun: float, seed: int) -> None:
    strikes = Counter(
        name.partition("/")[0].rstrip("-0123456789") for result in results for name in result.strikes if name
    )
    print(
        f"\n{len(results)} rounds in {(time.monotonic() - begun) / 60:.1f} min, seed {seed}: "
        f"{sum(result.messages for result in results)} messages, {sum(result.submits for result in results)} came, "
        f"{sum(result.lost for result in results)} unconfirmed of {sum(result.held for result in results)} "
        "held at kills, "
        f"{sum(result.troubled for result in results)} given trouble by the provider; "
        f"{sum(result.parts for result in results)} parts of accepted messages came, "
        f"{sum(result.billed for result in results)} are billed, "
        f"cost {sum((result.cost for result in results), start=PRICE * 0)} CNY.\nKilled: "
        + ", ".join(f"{name} {n}" for name, n in strikes.most_common())
        + f"\nRounds with something wrong: {sum(bool(result.broken) for result in results)}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200, help="over all databases together")
    parser.add_argument("--database", choices=("both", *DATABASES), default="both")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--people", type=int, default=400)
    parser.add_argument("--hosts", choices=("auto", "no", "only"), default="auto")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    print(f"seed {options.seed}", flush=True)
    begun = time.monotonic()
    kinds = DATABASES if options.database == "both" else (options.database,)
    rounds_each = max(1, options.rounds // len(kinds))
    apart = {"auto": rounds_each // 4, "no": 0, "only": rounds_each}[options.hosts]
    results: list[Told] = []
    for place, kind in enumerate(kinds):
        with two_hosts() as is_possible:
            if apart and not is_possible:
                print("network namespaces cannot be made here; all rounds are played on one host", flush=True)
            n_apart = apart if is_possible else 0
            if n_apart:
                results += rounds(kind, n_apart, options.people, options.seed + 10 * place, hosts=True)
        if rounds_each - n_apart:
            results += rounds(kind, rounds_each - n_apart, options.people, options.seed + 10 * place + 1, hosts=False)
    in_all(results, begun, options.seed)
    return int(any(result.broken for result in results))


if __name__ == "__main__":
    sys.exit(main())
