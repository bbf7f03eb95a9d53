"""The table of rights: what each role may do. Pages and services name a right, and both ask this table."""

from __future__ import annotations

import enum
from collections.abc import Mapping

from smsapp.domain.errors import Problem, Refusal
from smsapp.domain.roles import RANKS, Role, reaches


class Right(enum.StrEnum):
    """What a person may be allowed to do. Whoever is not signed in has none of them."""

    ACCOUNT_OWN = "account_own"
    """One's own name, language, password and sessions; nobody else's."""
    WORK_VIEW = "work_view"
    """Campaigns, reports, segments, templates, contacts and replies, with masked numbers."""
    SETUP_VIEW = "setup_view"
    """Channels, properties and the guide for apps, without secrets."""
    CAMPAIGNS_WRITE = "campaigns_write"
    CAMPAIGNS_CONFIRM = "campaigns_confirm"
    RUNS_CONTROL = "runs_control"
    """Pause, resume, move, end and repeat runs; decide about unconfirmed messages."""
    RESULTS_EXPORT = "results_export"
    SEGMENTS_WRITE = "segments_write"
    TEMPLATES_WRITE = "templates_write"
    REGISTRATION_WRITE = "registration_write"
    """Say what carriers have registered; ask the providers."""
    CONTACTS_IMPORT = "contacts_import"
    PROPOSALS_DECIDE = "proposals_decide"
    REPLIES_DECIDE = "replies_decide"
    """Keep the opt-out list and consents; lay replies to numbers."""
    CHANNELS_TEST = "channels_test"
    """Send a test message, ask for the balance."""
    TEMPLATES_APPROVE = "templates_approve"
    """Say that the provider has approved a text; the second look at what an operator typed in."""
    RUNS_ACCEPT = "runs_accept"
    """The second person: approve campaigns, and let runs go on that were held because they or their size changed."""
    NUMBERS_VIEW = "numbers_view"
    """Whole phone numbers; others are granted it one by one (sees_numbers)."""
    CHANNELS_WRITE = "channels_write"
    SENDING_WRITE = "sending_write"
    """Settings that hold for all campaigns, as frequency caps."""
    PROPERTIES_WRITE = "properties_write"
    KEYS_WRITE = "keys_write"
    PEOPLE_WRITE = "people_write"
    PRIVACY_WRITE = "privacy_write"
    """Erase and export people; see what is kept for how long."""
    AUDIT_READ = "audit_read"


LEAST_ROLE: Mapping[Right, Role] = {
    # right: the lowest role that has it; the roles above have it, too
    Right.ACCOUNT_OWN: Role.VIEWER,
    Right.WORK_VIEW: Role.VIEWER,
    Right.SETUP_VIEW: Role.OPERATOR,
    Right.CAMPAIGNS_WRITE: Role.OPERATOR,
    Right.CAMPAIGNS_CONFIRM: Role.OPERATOR,
    Right.RUNS_CONTROL: Role.OPERATOR,
    Right.RESULTS_EXPORT: Role.OPERATOR,
    Right.SEGMENTS_WRITE: Role.OPERATOR,
    Right.TEMPLATES_WRITE: Role.OPERATOR,
    Right.REGISTRATION_WRITE: Role.OPERATOR,
    Right.CONTACTS_IMPORT: Role.OPERATOR,
    Right.PROPOSALS_DECIDE: Role.OPERATOR,
    Right.REPLIES_DECIDE: Role.OPERATOR,
    Right.CHANNELS_TEST: Role.OPERATOR,
    Right.TEMPLATES_APPROVE: Role.APPROVER,
    Right.RUNS_ACCEPT: Role.APPROVER,
    Right.NUMBERS_VIEW: Role.ADMINISTRATOR,
    Right.CHANNELS_WRITE: Role.ADMINISTRATOR,
    Right.SENDING_WRITE: Role.ADMINISTRATOR,
    Right.PROPERTIES_WRITE: Role.ADMINISTRATOR,
    Right.KEYS_WRITE: Role.ADMINISTRATOR,
    Right.PEOPLE_WRITE: Role.ADMINISTRATOR,
    Right.PRIVACY_WRITE: Role.ADMINISTRATOR,
    Right.AUDIT_READ: Role.ADMINISTRATOR,
}


def may(role: Role | None, right: Right) -> bool:
    """Return whether a person with this role has the right; None = not signed in."""
    return role is not None and reaches(role, LEAST_ROLE[right])


class Forbidden(Refusal):
    """Whoever asked does not have the right that this needs. Nothing was changed."""

    def __init__(self, right: Right) -> None:
        self.right = right
        super().__init__(Problem("forbidden", facts={"right": right, "role": LEAST_ROLE[right]}))


def roles_with(right: Right) -> list[Role]:
    """Return the roles that have this right, the lowest first."""
    return [role for role in RANKS if may(role, right)]


def sees_numbers(role: Role, granted: bool) -> bool:
    """Return whether phone numbers are shown in full: by role, or because this person was granted it."""
    return granted or may(role, Right.NUMBERS_VIEW)
