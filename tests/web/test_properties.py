"""The pages of properties: the list, one property, and what a change would do before it is done."""

from __future__ import annotations

from smsapp.services.contacts import properties
from smsapp.services.platform import clock
from smsapp.store.contacts import property_changes
from smsapp.store.contacts.contacts import Contact
from smsapp.store.db import current_session
from tests import builders
from tests.pages import Pages


def test_two_properties_of_one_label_are_told_and_merged(client: Pages) -> None:
    builders.known_property("$name", label="姓名")
    builders.known_property("name", label="姓名")
    builders.contact("a", properties={"$name": "陈涛", "name": "13912345678"})
    builders.contact("b", properties={"name": "李娜"})
    # given a person without the right to numbers who looks at it, and an administrator
    masked = client.as_("operator", locale="en").get("/properties/one", name="name").get_text()
    assert "13912345678" not in masked
    assert "139****5678" in masked
    admin = client.as_("administrator", locale="en")
    listed = admin.get("/properties/")
    assert "means the same as $name" in listed.get_text()
    shown = admin.get("/properties/one", name="name")
    assert shown.value("#target option[selected]") == "$name"
    # when it is looked at and done
    seen = admin.get("/properties/change", name="name", do="merge", target="$name")
    assert (
        "2 contacts have a value; 1 of them have one of $name, too, and 1 have two different ones." in seen.get_text()
    )
    done = admin.post("/properties/change", name="name", do="merge", target="$name", wins="target")
    assert done.select_one("#property-changes progress") is not None
    while unfinished := property_changes.open_changes(current_session()):
        properties.run(unfinished[0].id, clock.now)
    current_session().expire_all()
    held = {row.xwho: row.properties for row in current_session().query(Contact)}
    assert held == {"a": {"$name": "陈涛"}, "b": {"$name": "李娜"}}
    after = admin.get("/properties/")
    assert "means the same" not in after.get_text()
    assert "2 contacts changed" in after.get_text()


def test_a_type_is_changed_after_a_look(client: Pages) -> None:
    builders.known_property("birthday", label="生日")
    builders.contact("a", properties={"birthday": "2000-01-02"})
    builders.contact("b", properties={"birthday": "昨天"})
    admin = client.as_("administrator", locale="en")
    seen = admin.get("/properties/change", name="birthday", do="retype", type="datetime")
    assert "1 of 2 values can be converted to the type Date and time." in seen.get_text()
    assert "“昨天”" in seen.get_text()
    assert "birthday_old" in seen.get_text()
    admin.post("/properties/change", name="birthday", do="retype", type="datetime")
    again = admin.post("/properties/change", 422, name="birthday", do="remove")
    assert "A change of birthday is going on" in again.said()


def test_what_is_used_is_not_removed_and_says_by_what(client: Pages) -> None:
    builders.known_property("city", label="城市")
    segment = builders.segment(
        name="北京", rule={"property": "city", "type": "string", "operator": "has_value", "params": []}
    )
    admin = client.as_("administrator", locale="en")
    refused = admin.post("/properties/change", 422, name="city", do="remove")
    assert "It is used in: 北京." in refused.said()
    assert refused.select_one(f"a[href='/segments/{segment.id}']") is not None


def test_a_label_that_is_taken_is_told_and_what_was_typed_stays(client: Pages) -> None:
    builders.known_property("a", label="城市")
    builders.known_property("b")
    admin = client.as_("administrator", locale="en")
    page = admin.post("/properties/rename", 422, name="b", label="城 市")
    assert "a has this label already" in page.said()
    assert page.value("#label") == "城 市"


def test_operators_look_and_administrators_change(client: Pages) -> None:
    builders.known_property("city")
    operator = client.as_("operator", locale="zh_Hans")
    assert "用户属性" in operator.get("/properties/").get_text()
    assert operator.get("/properties/one", name="city").select_one("#label") is None
    operator.post("/properties/change", 403, name="city", do="remove")
