"""Words that all areas share: what is gone, conflicts, and the actions and nouns of the audit log."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l

PROBLEMS = {
    "not_found": _l("It is not there (any more). Load the page again."),
    "conflict": _l("Somebody else, or the schedule, was faster. Nothing was changed; load the page again."),
}

DONE = {
    "create": _l("created"),
    "change": _l("changed"),
    "edit": _l("edited"),
    "delete": _l("removed"),
    "save_as": _l("saved as"),
    "copy": _l("copied"),
    "enable": _l("enabled"),
    "take_over": _l("took its properties over"),
    "disable": _l("disabled"),
    "activate": _l("enabled"),
    "deactivate": _l("disabled"),
    "discard": _l("discarded"),
    "check": _l("tested the account"),
    "rotate": _l("encrypted anew"),
    "rotate_callback": _l("made a new callback address for"),
    "confirm": _l("confirmed"),
    "launch": _l("launched"),
    "schedule": _l("scheduled"),
    "start": _l("started"),
    "stop": _l("stopped"),
    "end": _l("ended"),
    "pause": _l("paused"),
    "resume": _l("resumed"),
    "accept": _l("accepted the new text of"),
    "accept_audience": _l("accepted the people of"),
    "accept_changes": _l("accepted proposed changes of"),
    "reject_changes": _l("rejected proposed changes of"),
    "send": _l("sent"),
    "retry": _l("tried again"),
    "approve": _l("marked as approved"),
    "refuse": _l("marked as refused"),
    "route": _l("moved to another channel"),
    "route_stay": _l("turned automatic channel change off for"),
    "route_free": _l("turned automatic channel change on for"),
    "doubt_sent": _l("counted unconfirmed messages as sent"),
    "doubt_again": _l("sent unconfirmed messages again"),
    "doubt_leave": _l("kept messages unconfirmed"),
    "test_send": _l("sent a test"),
    "test": _l("tested"),
    "sync": _l("synced"),
    "assign": _l("laid to a number"),
    "dismiss": _l("dismissed"),
    "import": _l("imported"),
    "retype": _l("changed the type of"),
    "merge": _l("merged"),
    "remove": _l("removed"),
    "export": _l("exported"),
    "upload": _l("uploaded"),
    "upload_numbers": _l("uploaded a list of numbers as"),
    "search_number": _l("searched for a whole number of"),
    "recompute": _l("recomputed"),
    "opt_out": _l("opted out"),
    "consent": _l("consented again"),
    "revoke": _l("revoked"),
    "sign_in": _l("signed in"),
    "sign_in_failed": _l("failed to sign in"),
    "sign_out": _l("signed out"),
    "make_link": _l("made a one-time link"),
    "set_password": _l("set a password"),
    "end_sessions": _l("ended all sessions"),
}

BY = {
    "start": _l("Start of the application"),
    "sign-in page": _l("Sign-in page"),
    "opt-out confirmation": _l("Confirmation of opt-outs"),
    "template sync": _l("Template sync"),
}
"""Actors that are not persons."""

VALUES = {("by", "link"): _l("one-time link")}
"""Details of the audit log whose value is a code."""

NOUNS = {
    "campaign": _l("Campaign"),
    "run": _l("Run"),
    "segment": _l("Segment"),
    "contact": _l("Contact"),
    "contacts": _l("Contacts"),
    "channel": _l("Channel"),
    "sms_template": _l("SMS template"),
    "template": _l("SMS template"),
    "reply": _l("Reply"),
    "import": _l("Import"),
    "key": _l("AppKey"),
    "app_key": _l("AppKey"),
    "person": _l("Person"),
    "preference": _l("Setting"),
    "optout": _l("Opt-out"),
    "opt_out": _l("Opt-out"),
    "property": _l("Property"),
}

FACTS = {
    "active": _l("Active"),
    "added": _l("added"),
    "audit": _l("Approval status"),
    "audit_reason": _l("Reason"),
    "balance_low": _l("Warn below a balance of"),
    "before": _l("Reviewed"),
    "by": _l("By"),
    "cause": _l("Cause"),
    "changed": _l("changed"),
    "channel": _l("Channel"),
    "channels": _l("Channels"),
    "code": _l("Code"),
    "confirmation": _l("Confirmation of opt-outs"),
    "countries": _l("Allowed countries and regions"),
    "country": _l("Country of national numbers"),
    "counts": _l("Rows"),
    "currency": _l("Currency"),
    "digest": _l("Digest of the text"),
    "enabled": _l("Active"),
    "file": _l("File"),
    "gone": _l("withdrawn"),
    "hours": _l("Hours the old one is taken"),
    "group": _l("Part of the recipients"),
    "kind": _l("Kind"),
    "known": _l("known already"),
    "locale": _l("Language"),
    "login": _l("Sign-in name"),
    "masked": _l("Numbers masked"),
    "n": _l("Message count"),
    "name": _l("Name"),
    "next_due_at": _l("Next send"),
    "number": _l("Phone number"),
    "number_classes": _l("Allowed kinds of numbers"),
    "per_day": _l("Per day"),
    "per_week": _l("Per seven days"),
    "phone_property": _l("Property that holds the phone"),
    "price": _l("Price per billed part"),
    "properties": _l("Properties"),
    "purpose": _l("Kind"),
    "quiet_from": _l("Quiet from"),
    "quiet_until": _l("Quiet until"),
    "rate": _l("Messages per second"),
    "reason": _l("Reason"),
    "refused": _l("left out"),
    "result": _l("Result"),
    "role": _l("Role"),
    "rows": _l("Rows"),
    "rules": _l("Rules"),
    "run": _l("Run"),
    "sees_numbers": _l("Sees whole phone numbers"),
    "signature": _l("Signature"),
    "size": _l("Members"),
    "source": _l("Copied from"),
    "template": _l("Template"),
    "text": _l("Text"),
    "to": _l("New run"),
    "trusted_numbers": _l("Only numbers from trusted sources"),
    "unchanged": _l("unchanged"),
    "version": _l("Version"),
}
"""Names of the details of an audit log entry; also of changed fields."""


def by(name: str) -> str:
    """Return who acted, in words; a login or a command is shown as it is."""
    return str(BY.get(name, name))


def did(action: str) -> str:
    """Return an action of the audit log in words; an unknown one is shown as it is."""
    return str(DONE.get(action, action))


def fact(name: str) -> str:
    """Return the name of a detail of the audit log; an unknown one (a provider's setting) is shown as it is."""
    return str(FACTS.get(name, name))


def noun(code: str) -> str:
    """Return a noun of the audit log in words; an unknown one is shown as it is."""
    return str(NOUNS.get(code, code))
