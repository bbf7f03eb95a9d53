"""The reader's language, and its words: each is looked up once per language and process, not once per use."""

from __future__ import annotations

from typing import Any

from babel import Locale
from babel.support import NullTranslations, Translations
from flask.globals import app_ctx
from flask_babel import Domain, get_locale
from flask_babel.speaklater import LazyString
from markupsafe import Markup, escape

LocaleKey = tuple[str, str | None, str | None]
"""Language, script and territory: names a locale in caches, cheaper than the Locale."""
NOBODYS: LocaleKey = ("", None, None)
MOST_WORDS = 20_000
"""Words kept per language; msgids are far fewer."""


def current() -> Locale | None:
    """Return the locale of this request or command; None outside of both."""
    locale: Locale | None
    try:
        # Past the proxy, which takes longer than the look-up itself; a page asks hundreds of times.
        locale = app_ctx._get_current_object().g._flask_babel.babel_locale  # type: ignore[attr-defined]
    except (AttributeError, RuntimeError):
        locale = None
    return locale or get_locale()


def key() -> LocaleKey:
    """Return what names the current locale."""
    locale = current()
    return NOBODYS if locale is None else (locale.language, locale.script, locale.territory)


class Catalogues(Domain):  # type: ignore[misc]
    """Flask-Babel's domain, which remembers what it has looked up."""

    def __init__(self) -> None:
        super().__init__()
        self._loaded: dict[LocaleKey, NullTranslations | Translations] = {}
        self._words: dict[LocaleKey, dict[str, str]] = {}
        self._markups: dict[LocaleKey, dict[str, Markup]] = {}

    def get_translations(self) -> NullTranslations | Translations:
        """Return the catalogue of the current locale."""
        locale = key()
        catalogue = self._loaded.get(locale)
        if catalogue is None:
            catalogue = super().get_translations()
            if locale is not NOBODYS:
                self._loaded[locale] = catalogue
        return catalogue

    def gettext(self, string: str, /, **variables: Any) -> str:
        """Return the words for this msgid, with `variables` put in."""
        words = self._words.setdefault(key(), {})
        text = words.get(string)
        if text is None:
            text = self.get_translations().gettext(string)
            if len(words) < MOST_WORDS:
                words[string] = text
        return text % variables if variables else text

    def markup(self, string: str, variables: dict[str, Any]) -> Markup:
        """Return the words for this msgid as templates show them: a format always, its variables escaped."""
        if variables:
            if all(isinstance(value, str) for value in variables.values()):  # quicker than Markup's own way
                return _trusted(self.gettext(string) % {name: escape(value) for name, value in variables.items()})
            return _trusted(self.gettext(string)) % variables
        markups = self._markups.setdefault(key(), {})
        text = markups.get(string)
        if text is None:
            text = _trusted(self.gettext(string)) % {}
            if len(markups) < MOST_WORDS:
                markups[string] = text
        return text


def _trusted(text: str) -> Markup:
    """Return our own words as markup."""
    # nosemgrep: markup-from-a-value -- from the catalogue; variables are escaped
    return Markup(text)  # noqa: S704 # nosec B704


CATALOGUES = Catalogues()
"""Of every application in this process: they read the same files."""


def lazy_gettext(string: str, /, **variables: Any) -> LazyString:
    """Return words that are looked up when they are read, in the reader's language."""
    return CATALOGUES.lazy_gettext(string, **variables)
