"""Links and phone numbers in a template's text, which carriers in China want registered (引流信息报备)."""

from __future__ import annotations

import enum
import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from smsapp.domain.errors import Problem
from smsapp.domain.sms_template import VARIABLE

MOBILE_LENGTH = 11
MOST_LINKS, MOST_CONTACTS = 1, 2
"""Most of them that carriers take in one template."""


class ContactKind(enum.StrEnum):
    """What stands in a text."""

    LINK = "link"
    MOBILE = "mobile"
    LANDLINE = "landline"
    HOTLINE = "hotline"
    """A number under 400 or 800."""
    SHORT_NUMBER = "short_number"
    """95588, 12315 and the like."""


@dataclass(frozen=True)
class ContactDetail:
    """One link or phone number of a text, as it is registered: a link in lower case without its scheme, a number
    without what stands between its figures."""

    kind: ContactKind
    value: str

    @property
    def is_link(self) -> bool:
        return self.kind is ContactKind.LINK


_TOP = (
    "com|cn|net|org|gov|edu|info|biz|top|xyz|vip|cc|io|tv|co|me|link|site|shop|club|online|icu|work|win|red|ink|pro|app|"
    "dev|store|fun|live|wang|ren|mobi|asia|tech|space|website|ltd|group|cloud|email|fit|art|design|plus|ly|im|hk|tw|la|"
    "中国|公司|网络|网址|商城|集团"
)
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_PATH = r"(?:[/?#](?:\$\{\w+\}|\{\d{1,2}\}|[a-z0-9\-._~:/?#@!$&'()*+,;=%])*)?"
_LINK = re.compile(
    # A scheme; a host under a known ending; an address in figures; a host with a path.
    r"(?<![a-z0-9@._-])(?:"
    rf"(?P<scheme>(?:https?|weixin|alipays?)://)(?P<rest>(?:\$\{{\w+\}}|\{{\d{{1,2}}\}}|[a-z0-9\-._~:@%])+{_PATH})"
    rf"|(?P<host>(?:{_LABEL}\.)+(?:{_TOP})(?![a-z0-9-]|\.[a-z0-9])(?::\d{{2,5}})?{_PATH})"
    rf"|(?P<figures>\d{{1,3}}(?:\.\d{{1,3}}){{3}}(?::\d{{2,5}}{_PATH}|/[a-z0-9\-._~/?=&%#]+))"
    rf"|(?P<path>(?:{_LABEL}\.)+[a-z]{{2,10}}/[a-z0-9\-._~/?=&%#]+))",
    re.IGNORECASE,
)
_BETWEEN = r"[ \-–—‑.·]?"
_ABROAD = rf"(?:(?:\+|00)86{_BETWEEN})?"
_NUMBER = re.compile(
    rf"(?<![\d.])(?:"
    rf"(?P<mobile>{_ABROAD}1[3-9]\d{_BETWEEN}\d{{4}}{_BETWEEN}\d{{4}})"
    rf"|(?P<hotline>[48]00{_BETWEEN}(?:\d{{3}}{_BETWEEN}\d{{4}}|\d{{4}}{_BETWEEN}\d{{3}}"
    rf"|\d{_BETWEEN}\d{{3}}{_BETWEEN}\d{{3}}))"
    rf"|(?P<landline>(?:{_ABROAD}\(?0|(?:\+|00)86{_BETWEEN})(?:10|2\d|[3-9]\d{{2}})\)?{_BETWEEN}"
    rf"[2-8]\d{{2,3}}{_BETWEEN}\d{{4}})(?:[-转]\d{{1,5}})?"
    rf")(?!\d|\.\d)"
)
_SHORT = re.compile(
    r"(?<![\da-z])(?<!\d[.*,:/\-])(?:9[56]\d{3,4}|1(?:00\d{2,3}|01\d{2}|[12]\d{1,4}|6\d{4}))(?!\d|[.,:/]\d|-\d\d)"
)
_SURE_SHORT = re.compile(r"9[56]\d{3,4}|100(?:10|11|86|00|01)|123(?:0[567]|06|1[05]|33|45|48|66|78|80|88|95)")
"""Short numbers that are known without a word beside them."""
_SAID_BEFORE = re.compile(
    r"(?:电话|致电|来电|拨打|拨|热线|客服|座机|手机|咨询|详询|详情|联系|服务|投诉|举报|监督|报警|求助|tel|call|phone|hotline)"
    r"[^\d。;!?\n]{0,6}$"
)
_AMOUNT = re.compile(
    r"\s*(?:元|块|角|分|人(?!工)|名|位|条|款|件|个|次|张|份|台|套|辆|积分|点|号楼|号店|室|房|股|万|亿|米|公里|km|克|%|％|天|日|月|年|期|折|步)"
)
_BESIDE = re.compile(
    r"(?:单号|编号|订单|验证码|尾号|账号|卡号|密码|码|编码|学号|工号|运单|流水|￥|¥|\$|￡|[路街道巷弄])[^\d。;!?\n]{0,4}$"
)
_ENDS_A_LINK = str.maketrans(dict.fromkeys("，；！？、“”‘’", "|") | {"（": "(", "）": ")"})
_LINK_NAMES = re.compile(r"url|link|href|http|site|web|domain|链接|网址|短链|地址链|域名", re.IGNORECASE)


def contact_details(text: str) -> list[ContactDetail]:
    """Return the links and phone numbers of a text, each once, in the order in which they stand there."""
    plain = _plain(text)
    places: list[tuple[int, ContactDetail]] = []
    for match in _LINK.finditer(plain):
        value = _bare(match["rest"] or match["host"] or match["figures"] or match["path"])
        places.append((match.start(), ContactDetail(ContactKind.LINK, value)))
    rest = _LINK.sub(_blanks, plain)
    rest = VARIABLE.sub(_blanks, rest).lower()
    for match in _NUMBER.finditer(rest):
        if match.lastgroup != "mobile" and _BESIDE.search(rest[: match.start()]):
            continue
        kind = ContactKind(match.lastgroup or "")
        places.append((match.start(), ContactDetail(kind, _figures(match[kind]))))
    rest = _NUMBER.sub(_blanks, rest)
    places += ((start, ContactDetail(ContactKind.SHORT_NUMBER, number)) for start, number in _short_numbers(rest))
    return list(dict.fromkeys(info for _, info in sorted(places, key=lambda place: place[0])))


def _short_numbers(text: str) -> Iterator[tuple[int, str]]:
    for match in _SHORT.finditer(text):
        before = text[: match.start()]
        if _AMOUNT.match(text, match.end()) or _BESIDE.search(before):
            continue
        if _SAID_BEFORE.search(before) or _SURE_SHORT.fullmatch(match[0]):
            yield match.start(), match[0]


def _blanks(match: re.Match[str]) -> str:
    return "|" * len(match[0])


def _plain(text: str) -> str:
    """Return the text with its letters and figures in half width; full-width punctuation, which ends a link, stays."""
    return unicodedata.normalize("NFKC", text.translate(_ENDS_A_LINK))


def _bare(link: str) -> str:
    """Return a link without the punctuation behind it, its host in lower case: paths may tell cases apart."""
    link = link.rstrip(".,;:!?()'/")
    host = re.match(r"[^/?#$]*", link)
    return (host[0].lower() if host else "") + link[host.end() if host else 0 :]


def _figures(number: str) -> str:
    """Return a number as it is registered: without the country code, a landline with its 0."""
    figures = re.sub(r"\D", "", number)
    if not number.startswith(("+", "00")):
        return figures
    national = figures.removeprefix("00").removeprefix("86")
    return national if national.startswith(("0", "1")) and len(national) == MOBILE_LENGTH else _with_zero(national)


def _with_zero(landline: str) -> str:
    return landline if landline.startswith("0") else f"0{landline}"


def link_variables(text: str, allowed: Mapping[str, Any]) -> list[str]:
    """Return the variables whose value may be a link: by their name, or because the template declares it."""
    names = dict.fromkeys(match[1] or match[2] for match in VARIABLE.finditer(text))
    return [name for name in names if _LINK_NAMES.search(name) or (allowed.get(name) or {}).get("links")]


def contact_problems(text: str, allowed: Mapping[str, Any], *, mobiles_allowed: bool = True) -> list[Problem]:
    """Return what carriers object to in the links and phone numbers of a text.

    Without `mobiles_allowed` the channel's provider takes no mobile numbers as contacts.
    """
    infos = contact_details(text)
    names = [name for name in link_variables(text, allowed) if not _inside_link(text, name)]
    links = sum(info.is_link for info in infos) + len(names)
    contacts = len(infos) - sum(info.is_link for info in infos)
    problems = []
    if links > MOST_LINKS:
        problems.append(Problem("links_too_many", "text", {"n": links, "most": MOST_LINKS}, warning=True))
    if contacts > MOST_CONTACTS:
        problems.append(Problem("contacts_too_many", "text", {"n": contacts, "most": MOST_CONTACTS}, warning=True))
    if not mobiles_allowed:
        mobiles = _of_kind(infos, {ContactKind.MOBILE})
        problems += [Problem("mobile_contact", "text", {"number": mobile.value}) for mobile in mobiles]
    return problems


def _inside_link(text: str, name: str) -> bool:
    """Return whether the variable stands inside a link that counts already."""
    marks = (f"${{{name}}}", f"{{{name}}}")
    return any(mark in match[0] for match in _LINK.finditer(_plain(text)) for mark in marks)


def _of_kind(infos: Collection[ContactDetail], kinds: Collection[ContactKind]) -> list[ContactDetail]:
    return [info for info in infos if info.kind in kinds]
