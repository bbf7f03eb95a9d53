"""Words of webhooks: kinds of events, what becomes of them, why an address cannot be used."""

from __future__ import annotations

from smsapp.domain.webhook import DeliveryState, EventKind
from smsapp.labels.locales import lazy_gettext as _l

LABELS = {
    EventKind.RUN_STARTED: _l("A run has started"),
    EventKind.RUN_HELD: _l("A run is held"),
    EventKind.RUN_FINISHED: _l("A run is over"),
    EventKind.MESSAGE_RESULTS: _l("Results of messages"),
    EventKind.REPLY_RECEIVED: _l("A reply has come"),
    EventKind.OPT_OUT_ADDED: _l("Somebody has opted out"),
    EventKind.TEMPLATE_CHANGED: _l("The provider has changed a template"),
    EventKind.REGISTRATION_CHANGED: _l("The provider has changed a registration"),
    EventKind.TEST: _l("Test"),
    DeliveryState.WAITING: _l("To be sent"),
    DeliveryState.DELIVERED: _l("Delivered"),
    DeliveryState.FAILED: _l("Given up"),
    "webhook": _l("Webhook"),
    "webhook_event": _l("Events for webhooks"),
}

PROBLEMS = {
    "webhook_name": _l("Give it a name of %(most)s characters at most."),
    "webhook_kinds": _l("Choose at least one kind of event."),
    "webhook_url": _l("Write a whole address of 1,000 characters at most, without a login in it: https://host/path."),
    "webhook_address_unreadable": _l("This is no address. Write it as https://host/path."),
    "webhook_address_not_allowed": _l(
        "This address is in a private network, and the settings do not allow to call it (ALLOWED_PRIVATE_HOSTS)."
    ),
    "webhook_plain_http": _l(
        "Events travel encrypted: the address begins with https://. Without TLS only hosts of ALLOWED_PRIVATE_HOSTS "
        "are called."
    ),
}
