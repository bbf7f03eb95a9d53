"""What sort of number a number is, and whose."""

from __future__ import annotations

import phonenumbers
import pytest

from smsapp.domain import numbering
from smsapp.domain.numbering import NumberClass


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("+8613800138000", NumberClass.MOBILE),
        ("+8619912345678", NumberClass.MOBILE),
        ("+8613491234567", NumberClass.SATELLITE),
        ("+8617401234567", NumberClass.SATELLITE),
        ("+8616191234567", NumberClass.SATELLITE),
        ("+881612345678", NumberClass.SATELLITE),
        ("+870773111632", NumberClass.SATELLITE),
        ("+979123456789", NumberClass.PREMIUM),
        ("+19002345678", NumberClass.PREMIUM),
        ("+18002345678", NumberClass.TOLL_FREE),
        ("+80012345678", NumberClass.TOLL_FREE),
        ("+12025550143", NumberClass.MOBILE),
        ("+447911123456", NumberClass.MOBILE),
        ("+442071838750", NumberClass.LANDLINE),
        ("+85291234567", NumberClass.MOBILE),
        ("+447012345678", NumberClass.OTHER),
        ("+999", NumberClass.OTHER),
    ],
)
def test_a_number_has_a_class(number: str, expected: NumberClass) -> None:
    assert numbering.number_class(number) is expected


@pytest.mark.parametrize(
    ("number", "region"),
    [
        ("+8613800138000", "CN"),
        ("+85291234567", "HK"),
        ("+85366123456", "MO"),
        ("+886912345678", "TW"),
        ("+12025550143", "US"),
        ("+14165550123", "US"),
        ("+18765550123", "JM"),
        ("+18095550123", "DO"),
        ("+447911123456", "GB"),
        ("+79161234567", "RU"),
        ("+77011234567", "KZ"),
        ("+979123456789", "001"),
        ("+9991", ""),
    ],
)
def test_a_number_belongs_to_the_country_of_its_longest_prefix(number: str, region: str) -> None:
    assert numbering.country(number) == region


def test_every_country_of_one_calling_code_that_can_be_told_apart_is() -> None:
    apart = {region for region in numbering.REGIONS if region != "001"}
    alike = {"CA", "VA", "GG", "IM", "JE", "SJ", "CC", "CX", "EH", "YT", "TA", "AX", "BL", "MF", "BQ"}
    assert apart | alike == phonenumbers.SUPPORTED_REGIONS | apart
    for region in apart & phonenumbers.SUPPORTED_REGIONS:
        example = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
        if example is not None:
            assert numbering.country(f"+{example.country_code}{example.national_number}") == region


@pytest.mark.parametrize(
    ("typed", "regions", "unknown"),
    [
        ("", [], []),
        ("cn", ["CN"], []),
        ("CN, HK，+853、886;1", ["CN", "HK", "MO", "TW", "US"], []),
        ("CA", ["US"], []),
        ("JM US", ["JM", "US"], []),
        ("001", ["001"], []),
        ("XX 中国 +9999", [], ["XX", "中国", "+9999"]),
    ],
)
def test_countries_are_read_as_people_write_them(typed: str, regions: list[str], unknown: list[str]) -> None:
    assert numbering.read_countries(typed) == (regions, unknown)


@pytest.mark.parametrize(
    ("number", "countries", "classes", "allowed"),
    [
        ("+8613800138000", [], [], True),
        ("+8613800138000", ["CN"], [], True),
        ("+85291234567", ["CN"], [], False),
        ("+18765550123", ["US"], [], False),
        ("+979123456789", [], [], False),
        ("+979123456789", [], ["premium"], True),
        ("+979123456789", ["CN"], ["premium"], False),
        ("+442071838750", [], ["premium"], False),
    ],
)
def test_a_channel_allows_countries_and_classes(
    number: str, countries: list[str], classes: list[str], allowed: bool
) -> None:
    assert numbering.is_allowed(number, countries, classes) is allowed


@pytest.mark.parametrize(
    ("number", "ordinary"),
    [
        ("+8613800138000", True),
        ("+8613491234567", False),
        ("+86138001380001", False),
        ("+8612800138000", False),
        ("+85291234567", False),
        ("", False),
    ],
)
def test_mainland_mobile_numbers_are_ordinary(number: str, ordinary: bool) -> None:
    assert numbering.is_ordinary(number) is ordinary


def test_countries_have_prefixes_and_longer_ones_among_them_are_others() -> None:
    assert numbering.prefixes([]) == ([], [])
    assert numbering.prefixes(["CN"]) == (["+86"], [])
    own, others = numbering.prefixes(["RU"])
    assert (own, sorted(others)) == (["+7"], ["+76", "+77"])
    own, others = numbering.prefixes(["US", "JM"])
    assert sorted(own) == ["+1", "+1658", "+1876"]
    assert "+1809" in others
    assert "+1876" not in others
