"""Words of signing in, of people and their roles."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l

from smsapp.domain.roles import Role

PROBLEMS = {
    "sign_in_refused": _l("Login or password is wrong. Check both; after several attempts you have to wait a little."),
    "login_unusable": _l("A login has 2 to 60 characters: a–z, 0–9 and . _ @ + -, and begins with a letter or digit."),
    "login_taken": _l("Somebody else has this login. Choose another one."),
    "password_short": _l("Use at least %(least)s characters. A sentence is easy to remember."),
    "password_long": _l("Use at most %(most)s characters."),
    "password_is_login": _l("The password must not be the login. Choose another one."),
    "password_common": _l(
        "This password is among the first that are guessed. Choose another one, for example four words."
    ),
    "password_wrong": _l("This is not your present password."),
    "person_name_missing": _l("Please give a name."),
    "person_name_long": _l("A name has at most %(most)s characters."),
    "person_inactive": _l("This person may not sign in. Let them sign in again first, then make a link."),
    "last_administrator": _l("This is the last administrator. Make somebody else an administrator first."),
}

LABELS = {
    Role.VIEWER: _l("Viewer"),
    Role.OPERATOR: _l("Operator"),
    Role.ADMINISTRATOR: _l("Administrator"),
}
