"""Invented customers of an invented shop. The same seed gives the same people."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator
from typing import Any

from smsapp.domain.contact import PHONE, Type

PROPERTIES: dict[str, tuple[Type, str]] = {
    # name: (type, label)
    PHONE: (Type.STRING, "手机号"),
    "$name": (Type.STRING, "姓名"),
    "gender": (Type.STRING, "性别"),
    "city": (Type.STRING, "城市"),
    "level": (Type.STRING, "会员等级"),
    "points": (Type.NUMBER, "积分"),
    "total_spent": (Type.NUMBER, "累计消费"),
    "birthday": (Type.DATETIME, "生日"),
    "registered_at": (Type.DATETIME, "注册时间"),
    "last_order_at": (Type.DATETIME, "最近下单时间"),
    "subscribed": (Type.BOOL, "接收营销短信"),
    "tags": (Type.LIST, "标签"),
}

# Family names by how many people bear them, roughly.
FAMILIES = (
    "王李张刘陈" * 7
    + "杨黄赵吴周徐孙马朱胡郭何高林" * 3
    + "罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈"
)
COMPOUND = ("欧阳", "司马", "上官", "诸葛")
MALE = "伟强磊军洋勇杰涛明超刚平辉鹏华飞鑫波斌宇浩凯健俊帆帅旭宁龙林阳建文博志轩子豪泽毅"
FEMALE = "芳娜敏静丽艳娟霞秀英玲桂燕红梅雪琳慧洁倩婷颖露瑶怡佳欣梦思雨涵雅诗萱紫月悦"
CITIES = {
    "上海": 14, "北京": 13, "深圳": 10, "广州": 10, "杭州": 9, "成都": 8, "武汉": 6, "南京": 6, "苏州": 5, "重庆": 5,
    "西安": 4, "长沙": 4, "天津": 3, "青岛": 3, "宁波": 3, "厦门": 2, "合肥": 2, "昆明": 2,
}  # fmt: skip
LEVELS = {"普通会员": 60, "银卡会员": 24, "金卡会员": 12, "黑金会员": 4}
SPENDING = {"普通会员": 300, "银卡会员": 1500, "金卡会员": 6000, "黑金会员": 24000}
TAGS = ("新客", "高活跃", "母婴", "数码", "美妆", "户外", "生鲜", "图书", "价格敏感", "到店自提")
# Ranges without subscribers in China: a real channel that writes to these people by mistake reaches nobody.
RANGES = ("160", "161", "163", "164", "168", "169")
UNREADABLE = ("1380013800", "无", "12345", "0571-8888", "1900000000000", "手机已停用")


def people(count: int, seed: int, today: dt.date) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (user id, properties): some without a number, some with an unreadable one, some with a shared one."""
    draw = random.Random(seed)  # noqa: S311 -- invented people, no secrets
    numbers: list[str] = []
    for n in range(1, count + 1):
        gender = draw.choice(("男", "女"))
        level = _weighted(draw, LEVELS)
        registered = today - dt.timedelta(days=draw.randrange(1, 1600))
        last_order = registered + dt.timedelta(days=int((today - registered).days * draw.betavariate(4, 1.2)))
        spent = round(draw.lognormvariate(0, 0.8) * SPENDING[level], 2)
        person: dict[str, Any] = {
            "$name": _name(draw, gender),
            "gender": gender,
            "city": _weighted(draw, CITIES),
            "level": level,
            "points": int(spent * draw.uniform(0.2, 0.9)),
            "total_spent": spent,
            "registered_at": _moment(draw, registered),
            "subscribed": draw.random() < 0.86,
        }
        if draw.random() < 0.92:
            person["birthday"] = (
                f"{draw.randrange(1960, 2006)}-{draw.randrange(1, 13):02}-{draw.randrange(1, 29):02}T00:00:00"
            )
        if draw.random() < 0.88:
            person["last_order_at"] = _moment(draw, last_order)
        if tags := draw.sample(TAGS, draw.choice((0, 1, 1, 2, 3))):
            person["tags"] = tags
        phone = _phone(draw, numbers)
        if phone:
            person[PHONE] = phone
        yield f"QH{n:06}", person


def _phone(draw: random.Random, numbers: list[str]) -> str:
    """Return a new number, an unreadable one, one that somebody has already, or ""."""
    chance = draw.random()
    if chance < 0.04:
        return ""
    if chance < 0.055:
        return draw.choice(UNREADABLE)
    if chance < 0.065 and numbers:
        return draw.choice(numbers)
    numbers.append(f"{draw.choice(RANGES)}{draw.randrange(10**8):08}")
    return numbers[-1]


def _name(draw: random.Random, gender: str) -> str:
    family = draw.choice(COMPOUND) if draw.random() < 0.005 else draw.choice(FAMILIES)
    letters = MALE if gender == "男" else FEMALE
    return family + "".join(draw.choices(letters, k=draw.choice((1, 2, 2, 2))))


def _weighted(draw: random.Random, shares: dict[str, int]) -> str:
    return draw.choices(list(shares), list(shares.values()))[0]


def _moment(draw: random.Random, day: dt.date) -> str:
    return f"{day}T{draw.randrange(7, 24):02}:{draw.randrange(60):02}:{draw.randrange(60):02}"
