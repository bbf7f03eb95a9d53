"""Flask's application, with the parts of a page that are asked for hundreds of times made cheap.

Addresses are built once for the same endpoint and values, and a template's `_("...")` is a look-up in a table of its
language instead of a search through Jinja's and Flask-Babel's contexts.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from functools import lru_cache
from typing import Any

from flask import Flask, request
from flask.templating import Environment
from jinja2 import nodes, pass_context
from jinja2.runtime import Context
from jinja2.visitor import NodeTransformer
from markupsafe import Markup

from smsapp.labels.locales import CATALOGUES

MOST_ADDRESSES = 16_384


class Templates(Environment):
    """An environment whose templates find their words directly."""

    def __init__(self, app: Flask, **options: Any) -> None:
        super().__init__(app, **options)
        self.filters[_WORD], self.filters[_ADDRESS] = _translated, _addressed

    def make_globals(self, d: MutableMapping[str, Any] | None) -> MutableMapping[str, Any]:
        """Return what every template knows: the one table itself, which Jinja would wrap anew for each import."""
        return super().make_globals(d) if d else self.globals

    def _generate(self, source: nodes.Template, *arguments: Any, **options: Any) -> str:
        return super()._generate(_Direct().visit(source), *arguments, **options)


class Application(Flask):
    """The application as factory.py makes it."""

    jinja_environment = Templates  # type: ignore[assignment]  # the base types its own class, not Jinja's

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # Typed: 1 and True are equal, but stand differently in an address.
        self._address = lru_cache(MOST_ADDRESSES, typed=True)(self._built)

    def url_for(self, /, endpoint: str, **values: Any) -> str:
        """Return the address of an endpoint, as Flask does."""
        if endpoint[:1] == "." or not request:
            return super().url_for(endpoint, **values)
        environ = request.environ
        if values.get("_external") or values.get("_scheme"):  # holds the host; flask.url_for names both
            return super().url_for(endpoint, **values)
        try:
            root, method = environ.get("SCRIPT_NAME", ""), environ["REQUEST_METHOD"]
            return self._address(root, method, endpoint, tuple(values), *values.values())
        except TypeError:  # a list, which cannot be looked up
            return super().url_for(endpoint, **values)

    def _built(self, _root: str, _method: str, endpoint: str, names: tuple[str, ...], *values: Any) -> str:
        return super().url_for(endpoint, **dict(zip(names, values, strict=True)))


_WORD, _ADDRESS = "direct_word", "direct_address"


@pass_context  # so that Jinja does not call it while it compiles
def _translated(_context: Context, text: str, /, **variables: Any) -> Markup:
    return CATALOGUES.markup(text, variables)


@pass_context
def _addressed(context: Context, endpoint: str, /, **values: Any) -> str:
    return context.environment.app.url_for(endpoint, **values)  # type: ignore[attr-defined, no-any-return]


DIRECT = {"_": _WORD, "url_for": _ADDRESS}


class _Direct(NodeTransformer):
    """Makes filters of words and addresses: filters are called without a search for who wants the context.

    `_("constant", name=value)` and `url_for("constant", name=value)`.
    """

    def visit_Call(self, node: nodes.Call) -> nodes.Node:  # noqa: N802  Jinja's name
        self.generic_visit(node)
        name = DIRECT.get(node.node.name) if isinstance(node.node, nodes.Name) else None
        is_plain = len(node.args) == 1 and isinstance(node.args[0], nodes.Const)
        if name is None or not is_plain or node.dyn_args or node.dyn_kwargs:
            return node
        return nodes.Filter(node.args[0], name, [], node.kwargs, None, None, lineno=node.lineno)
