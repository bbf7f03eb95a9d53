"""Words of signing in, of people and their roles."""

from __future__ import annotations

from smsapp.domain.rights import Right
from smsapp.domain.roles import Role
from smsapp.labels.locales import lazy_gettext as _l

PROBLEMS = {
    "forbidden": _l("Your role does not allow this: %(right)s. It needs the role %(role)s."),
    "sign_in_refused": _l("Login or password is wrong. Check both; after several attempts you have to wait a little."),
    "too_many_attempts": _l("Too many attempts. Try again in %(seconds)s seconds."),
    "code_wrong": _l(
        "This code is not right, or was used already. Wait for the next one, and look at your telephone's clock."
    ),
    "factor_sealed": _l(
        "This second factor cannot be checked any more. Use a recovery code, or ask an administrator to reset it."
    ),
    "openid_unreachable": _l(
        "The sign-in provider does not answer as it should. Try again in a minute; then tell an administrator."
    ),
    "openid_metadata": _l("The sign-in provider is not the one of OIDC_ISSUER. Tell an administrator."),
    "openid_too_late": _l("Signing in took too long, or began in another browser. Begin again."),
    "openid_state": _l("This answer does not belong to a sign-in of this browser. Begin again."),
    "openid_denied": _l("The sign-in provider did not sign you in. Begin again."),
    "openid_token": _l(
        "The answer of the sign-in provider cannot be verified. Begin again; then tell an administrator."
    ),
    "openid_no_role": _l("Your account there has no role here. Ask those who look after it, then sign in again."),
    "openid_inactive": _l("Your account here is signed off. Ask an administrator."),
    "local_sign_in_off": _l("Passwords are switched off here: people sign in through the provider."),
    "link_administrators_only": _l("While passwords are switched off, links are for administrators only."),
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
    Role.APPROVER: _l("Approver"),
    Role.ADMINISTRATOR: _l("Administrator"),
    Right.ACCOUNT_OWN: _l("Change one's own account, password and language"),
    Right.WORK_VIEW: _l("See campaigns, reports, segments, templates, contacts and replies"),
    Right.SETUP_VIEW: _l("See channels, contact properties and the guide for apps"),
    Right.CAMPAIGNS_WRITE: _l("Make, change, copy and delete campaigns"),
    Right.CAMPAIGNS_CONFIRM: _l("Confirm and stop campaigns"),
    Right.RUNS_CONTROL: _l("Pause, resume, move, end and repeat runs; resolve unconfirmed messages"),
    Right.RESULTS_EXPORT: _l("Export results"),
    Right.SEGMENTS_WRITE: _l("Make, change and delete segments"),
    Right.REGISTRATION_WRITE: _l("Type in what carriers have registered, ask providers for it"),
    Right.TEMPLATES_WRITE: _l("Type in, import, compare and delete templates"),
    Right.CONTACTS_IMPORT: _l("Import contacts"),
    Right.PROPOSALS_DECIDE: _l("Accept or reject proposed changes of contacts"),
    Right.REPLIES_DECIDE: _l("Keep the opt-out list and consents, lay replies to numbers"),
    Right.CHANNELS_TEST: _l("Send test messages, ask for the balance"),
    Right.TEMPLATES_APPROVE: _l("Approve templates that were typed in or came in a file"),
    Right.RUNS_ACCEPT: _l("Approve campaigns; accept runs that were held because their text, people or size changed"),
    Right.NUMBERS_VIEW: _l("See whole phone numbers"),
    Right.CHANNELS_WRITE: _l("Set up channels"),
    Right.SENDING_WRITE: _l("Change settings that hold for all campaigns"),
    Right.PROPERTIES_WRITE: _l("Rename, retype, merge and remove contact properties"),
    Right.KEYS_WRITE: _l("Make and change AppKeys and their rules"),
    Right.PEOPLE_WRITE: _l("Add people, change their roles, end their sessions"),
    Right.PRIVACY_WRITE: _l("Erase and export people, see what is kept for how long"),
    Right.AUDIT_READ: _l("Read, verify and export the audit log"),
}
