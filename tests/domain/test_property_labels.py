"""One meaning has one property, whatever a column or an app calls it."""

from __future__ import annotations

import pytest

from smsapp.domain.contact import Type
from smsapp.domain.guesses import guesses
from smsapp.domain.property_labels import doubles, laid_to, names_alike, reported_as, shown

CATALOGUE = {
    "$name": "姓名",
    "$phone": "",
    "$email": "",
    "city": "城市",
    "level": "会员 等级",
    "shop": "门店",
    "points": "",
}


@pytest.mark.parametrize(
    ("heading", "name"),
    [
        ("姓名", "$name"),
        (" 姓 名 ", "$name"),
        ("\ufeff姓名", "$name"),
        ("name", "$name"),
        ("Name", "$name"),
        ("ＮＡＭＥ", "$name"),
        ("Full name", "$name"),
        ("客户姓名", "$name"),
        ("手机号", "$phone"),
        ("Phone number", "$phone"),
        ("E-mail", "$email"),
        ("会员等级", "level"),
        ("门　店", "shop"),
        ("积分", "points"),
        ("City", "city"),
        ("身高", None),
        ("***", None),
        ("", None),
    ],
)
def test_a_heading_is_laid_to_the_property_that_means_the_same(heading: str, name: str | None) -> None:
    assert laid_to(heading, CATALOGUE) == name


def test_a_property_of_that_very_name_comes_first_then_a_label_then_the_preset() -> None:
    both = {"$name": "姓名", "name": "姓名", "alias": "称呼"}
    assert laid_to("name", both) == "name"
    assert laid_to("姓名", both) == "$name"
    assert laid_to("称呼", both) == "alias"


def test_a_label_says_what_a_property_means_whatever_its_name_is() -> None:
    assert laid_to("full name", {"name": "备注"}) is None
    assert laid_to("full name", {"x": "客户姓名", "name": "备注"}) == "x"
    # the very words of a label come before what only means the same
    assert laid_to("名字", {"$name": "", "z": "名字"}) == "z"


def test_a_colleagues_file_goes_into_the_property_that_is_there() -> None:
    # pages-1, fault 1
    rows = [["u1", "陈涛"], ["u2", "李娜"], ["u3", "王芳"]]
    found = guesses(["用户ID", "姓名"], rows, {"$name": Type.STRING}, {"$name": "姓名"})
    assert [(guess.role, guess.name) for guess in found] == [("id", ""), ("property", "$name")]
    fresh = guesses(["用户ID", "姓名"], rows, {})
    assert [guess.name for guess in fresh] == ["", "name"]


def test_two_columns_of_one_meaning_do_not_become_one() -> None:
    found = guesses(["user_id", "姓名", "名字"], [["u1", "陈涛", "涛"]], {"$name": Type.STRING}, {"$name": "姓名"})
    assert [guess.name for guess in found] == ["", "$name", "名字"]


def test_two_properties_of_one_label_are_told() -> None:
    assert doubles({"$name": "姓名", "name": "姓名", "city": "城市"}) == {"$name": ["name"], "name": ["$name"]}
    assert doubles({"Name": "", "$name": "姓 名", "a": "***", "b": "--"}) == {"Name": ["$name"], "$name": ["Name"]}
    assert shown("name", "姓名", {"name"}) == "姓名 (name)"
    assert shown("city", "城市", {"name"}) == "城市"


def test_variables_are_matched_by_label_too() -> None:
    assert names_alike("name", CATALOGUE) == "$name"
    assert names_alike("姓名", CATALOGUE) == "$name"
    assert names_alike("1", CATALOGUE | {"1": ""}) is None


@pytest.mark.parametrize(
    ("name", "catalogue", "expected"),
    [
        ("Full_Name", {"fullname": "", "city": ""}, "fullname"),
        ("NAME", {"$name": "", "name": ""}, "$name"),
        ("城市", {"city": "城市"}, "city"),
        # letters alone: what only means the same is another property
        ("名字", {"name": "姓名"}, None),
        ("mobile", {"$phone": "mobile"}, None),
        ("phone", {"$phone": "", "a": "phone"}, "a"),
        ("***", {"--": ""}, None),
        ("b", {"z": "B", "a": "b"}, "a"),
    ],
)
def test_a_reported_name_is_laid_to_a_property_by_its_letters_and_never_to_the_phone(
    name: str, catalogue: dict[str, str], expected: str | None
) -> None:
    assert reported_as(name, catalogue) == expected


def test_a_property_without_a_label_is_called_by_its_name() -> None:
    assert shown("name", "", {"name"}) == "name"
    assert shown("name", "姓名") == "姓名"
