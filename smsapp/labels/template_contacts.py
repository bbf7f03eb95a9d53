"""Words of what the text of a template may hold: links and numbers to call.

Apart from registrations.py, as a carrier and a number are both "mobile", which in one mapping would be one key.
"""

from __future__ import annotations

from smsapp.domain.contact_details import ContactKind
from smsapp.labels.locales import lazy_gettext as _l

LABELS = {
    ContactKind.LINK: _l("Link"),
    ContactKind.MOBILE: _l("Mobile number"),
    ContactKind.LANDLINE: _l("Landline number"),
    ContactKind.HOTLINE: _l("400 or 800 number"),
    ContactKind.SHORT_NUMBER: _l("Short number"),
}
