"""The contract finds what is wrong with a provider, shown on one nobody runs (tests/channels/made_up)."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from smsapp import channels as adapters
from smsapp.services.channels import registry
from tests.channels import contract

MADE_UP = Path(__file__).parent / "made_up"

FAULTS = {
    # what is wrong: (the sound lines, what stands there instead, the test of the contract that says so)
    "a request that may have arrived is repeated": (
        "        answer = await http.request(",
        "        try:\n"
        "            await http.request(method, url, headers, body)\n"
        "        except OutcomeUnknown:\n"
        "            pass\n"
        "        answer = await http.request(",
        "test_a_cut_after_sending_is_unclear_and_is_not_repeated",
    ),
    "a fault of the provider counts as not sent": (
        "        raise_for_status(answer)\n",
        "        if answer.status >= 500:\n"
        "            from smsapp.channels.errors import NotSent\n"
        "            raise NotSent('down')\n"
        "        raise_for_status(answer)\n",
        "test_a_fault_of_the_provider_is_unclear",
    ),
    "answers are taken in the order they come in": (
        "        return [_result(by_ref.get(message.ref)) for message in submission.messages]\n",
        "        return [_result(result) for result in by_ref.values()]\n",
        "test_missing_results_refuse_nobody_and_prove_nothing",
    ),
    "silence about a message counts as acceptance": (
        "        return SubmitResult(False, unconfirmed=True)\n",
        "        return SubmitResult(True)\n",
        "test_missing_results_refuse_nobody_and_prove_nothing",
    ),
    "a page that is no answer counts as acceptance": (
        '            raise OutcomeUnknown("unreadable", outcome=Outcome.PROVIDER_FAULT)\n        by_ref',
        "            return [SubmitResult(True)] * len(messages)\n        by_ref",
        "test_an_answer_that_says_nothing_is_unclear",
    ),
    "an unknown code ends the sender": (
        "outcome=CODES.get(code, Outcome.UNKNOWN), code=code)\n\n\ndef _receipt_or_reply",
        "outcome=CODES[code], code=code)\n\n\ndef _receipt_or_reply",
        "test_an_unknown_code_is_kept_and_nothing_more_is_made_of_it",
    ),
    "asked to slow down, it gives the messages up": (
        "        raise_for_status(answer)\n",
        "        if answer.status == 429:\n            raise OutcomeUnknown('429')\n        raise_for_status(answer)\n",
        "test_too_many_requests_is_throttled",
    ),
    "the key stands in an error": (
        "        raise_for_status(answer)\n",
        "        raise_for_status(answer, f'HTTP {answer.status} with {self._key}')\n",
        "test_a_fault_of_the_provider_is_unclear",
    ),
    "the key stands in its repr": (
        "    async def send(",
        "    def __repr__(self) -> str:\n        return f'<Pigeon {self.values}>'\n\n    async def send(",
        "test_it_shows_no_secret",
    ),
    "a number stands in the log": (
        "        raise_for_status(answer)\n",
        "        import logging\n\n"
        "        logging.getLogger(__name__).info('sent %s', body)\n"
        "        raise_for_status(answer)\n",
        "test_logs_hold_no_secret_and_no_number",
    ),
    "a callback is believed without its signature": (
        "            raise CallbackRefused\n",
        "            pass\n",
        "test_a_genuine_callback_is_taken_and_a_forged_one_is_not",
    ),
    "a callback that cannot be read is a crash": (
        "        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):\n"
        '            raise ValueError("a callback is a list of objects")\n',
        "",
        "test_a_callback_that_cannot_be_read_is_a_value_error_and_nothing_else",
    ),
}


@pytest.fixture
def home(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.Pytester]:
    """A folder whose pigeon.py is one of the kinds of channels, as if it lay in smsapp/channels."""
    monkeypatch.setattr(adapters, "__path__", [*adapters.__path__, str(pytester.path)])
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    registry.kinds.cache_clear()
    yield pytester
    sys.modules.pop("smsapp.channels.pigeon", None)
    vars(adapters).pop("pigeon", None)
    registry.kinds.cache_clear()


assert contract
"""Imported here, so that the runs below need not do it each for itself."""


def asked(home: pytest.Pytester, adapter: str, *only: str) -> pytest.RunResult:
    """Return what the contract says of this adapter."""
    tests = (MADE_UP / "pigeon_contract.py").read_text()
    here = tests.replace("tests.channels.made_up.pigeon", "smsapp.channels.pigeon")
    home.makepyfile(pigeon=adapter, test_pigeon=here)
    return home.runpytest_inprocess("-q", "-p", "no:cacheprovider", "test_pigeon.py", *only)


def test_a_provider_made_by_the_document_keeps_the_contract(home: pytest.Pytester) -> None:
    # All but the one question that needs a database, for there is none in this folder.
    outcomes = asked(home, (MADE_UP / "pigeon.py").read_text(), "-k", "not early_and_double").parseoutcomes()
    assert set(outcomes) <= {"passed", "warnings", "deselected"}
    assert outcomes["passed"] > 40


@pytest.mark.parametrize("fault", FAULTS)
def test_the_contract_finds(fault: str, home: pytest.Pytester) -> None:
    sound, wrong, found_by = FAULTS[fault]
    text = (MADE_UP / "pigeon.py").read_text()
    assert text.count(sound) == 1
    result = asked(home, text.replace(sound, wrong), "-k", found_by)
    assert result.parseoutcomes()["failed"] > 0
