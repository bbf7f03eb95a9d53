"""Replies that look like a refusal, which a person decides about: nothing is done because of them alone.

Whole opt-outs are recognised by `domain/optout.py`. Here phrases count: a reply that holds one of REFUSING and is not
explained away by one of HARMLESS is shown to a person.
"""

from __future__ import annotations

import enum
import re

from smsapp.domain.optout import significant


class Suspicion(enum.StrEnum):
    """Whether a reply is a refusal, if it only looks like one."""

    NONE = ""
    """It does not look like one, or is an opt-out."""
    WAITS = "waits"
    OPT_OUT = "opt_out"
    """A person has decided that it is one."""
    HARMLESS = "harmless"


NOT = (
    "别|別|勿|不要|不许|不准|不用|不必|不想|不愿|不需要|不接受|不接收|不希望|没同意|拒绝|拒絕|拒收|停止|取消|关闭|關閉|关掉|屏蔽|"
    "停掉|退掉|无需|無需|退订|退訂"
)
TEXTS = (
    "发|發|传|傳|推(?!荐|迟|新)|推广|推销|短信|簡訊|简讯|信息|消息|讯息|訊息|广告|廣告|营销|營銷|通知|提醒|订阅|訂閱|打扰|打擾|骚扰|騷擾|烦|煩|"
    "联系|聯絡|联络|来信|彩信|接收|收到|收你|看到"
)
ENOUGH = "停|删|刪|清|退出|取消|移|拒|关|關|别|別|不|勿|谁同意|谁让|影响|太多|轰炸|乱|老是|一直|天天|整天|又|还在"
MEDIA = "短信|簡訊|简讯|信息|訊息|消息|群发|推送|名单|名單|号码|號碼|手机号|广告|廣告|会员通知"
"""What a Chinese reply complains of, in any order and near each other."""
GOODS = (
    "货|貨|票|订单|訂單|快递|顺丰|圆通|邮政|包邮|颜色|尺码|验证码|券码|红色|包装|香菜|錯過|错过|预约|航班|发票|礼盒|开售|续费|地址|"
    "营业|早上|送货|送上|送到|赠品|打烊|退差价|图片|链接"
)
"""What a Chinese refusal says no to, in that order and near each other, and what speaks of a purchase instead."""
DONT = "dont|donot|never|stop|quit|nomore|cease|without"
MESSAGES = "text|txt|messag|msg|contact|send|sms|email|call|receiv|offer|promo|harass|spam|bother|these|marketing"
ORDERS = (
    "order|appointment|booking|parking|code|parcel|refund|address|bell|wait|(?<!al)ready|item|size|colour|color|delivery|"
    "restock|store|receivedmy|gotmy|bus"
)
"""The same in English."""
REFUSING = (
    rf"(?:{NOT}).{{0,8}}(?:{TEXTS})",
    rf"(?:{ENOUGH}).{{0,10}}(?:{MEDIA})|(?:{MEDIA}).{{0,8}}(?:{ENOUGH})",
    r"停止(?!营业|接单|交易|订座|供应)|停了吧?$|停发|取消吧|不再(?:接收|需要|收)|不让.{0,4}(?:发|發)",
    r"以后.{0,8}(?:不用|不要|别).{0,4}(?:告诉|通知|找|叫)",
    r"以后.{0,4}(?:不要|不用|不必|别|勿|不需要)",
    # wants out
    r"退订|退訂|退定|拒收",
    r"(?:怎么|怎麼|如何|怎样|怎樣|怎么才).{0,6}(?:不收|收不到|取消|关闭|屏蔽).{0,8}(?:短信|通知|订阅|信息|消息|推送)",
    r"^(?:请|麻烦)?(?:停止(?:发送|發送|推送)?|停|注销|拒绝|拒絕|屏蔽了?|退|不接收|不需要了?|谢绝)+$",
    r"^不需要谢谢|谢谢不需要|谢绝",
    r"(?:删|删除|刪除|删掉|移除|移出|去掉|移走|清除).{0,8}(?:我|号码|號碼|手机号|名单|名單|信息)",
    r"(?:号码|手机号|我|此号|从.{0,6}名单).{0,8}(?:移出|删掉|删了|去掉|移除|删除)",
    r"(?:^|[^a-z])(?:td|t|r|n|回复?[trn]d?).{0,8}(?:怎么|为什么|没用|没反应|还在?发|好几遍)",
    # angry, or threatens to complain
    r"滚(?!烫|轮|筒|动|球|石|雪|边|梯|装)",
    r"^(?:真)?(?:好)?烦(?:死|人|不|啊|$)|烦(?:死|不烦|人)|就烦|天天.{0,3}(?:发|發|短信|骚扰)|短信太多",
    r"(?:骚扰|騷擾)",
    r"^(?:又是|都是|全是)?(?:垃圾|广告)(?:短信|信息|广告|勿扰)?$|垃圾(?:短信|信息|广告|消息)|广告勿扰",
    r"再.{0,2}(?:发|發|骚扰|来|收到).{0,6}(?:投诉|举报|拉黑|12321|12300|报警|告你|就)",
    r"^(?:我要?|已经?)?(?:投诉|举报|拉黑|屏蔽)(?:你们?|了|你们了)?$|(?:投诉|举报).{0,4}(?:骚扰|短信)|拉黑(?:了|你)|把你们?.{0,3}拉黑",
    r"^(?:闭嘴|够了|有病|神经病|傻[逼x叉b]|妈的|他妈|老子)|闭嘴|有完没完|有意思吗|消停|放过我?",
    r"勿扰|勿擾",
    r"^(?:我|本人)?(?:没|没有|不感|不)兴趣(?!班).{0,6}$|(?:不感|没有?)兴趣(?!班).{0,3}(?:别|勿|不)|对.{1,6}(?:没|不感)兴趣",
    # a stranger
    r"发错.{0,4}(?:人|号码|不是|别)|不认识你们|不是(?:你们|你家|贵店).{0,3}(?:会员|客户|用户)",
    r"(?:没|没有|从未|未)(?:订阅|订过|注册过|注册)(?:过|你们|$)|谁(?:给|让).{0,4}(?:你们?|我).{0,6}(?:号码|发)",
    r"(?:哪里|哪儿|怎么|哪).{0,6}(?:弄|搞|拿|得)?到?.{0,4}我的?(?:电话|号码|手机号)(?!是|多少)",
    r"(?:号码|手机|此号).{0,4}(?:换人|换主|停用|不用了)",
    # in English, without spaces
    rf"(?:{DONT})(?!by).{{0,14}}(?:{MESSAGES})",
    r"^(?:please|pls|plz)*sto+p+(?:please|pls|plz|it|now|this|stop|already|thanks?|ok|all)*$|sto{2,}p|stop{2,}",
    r"(?<!bus)(?<!tram)(?<!next)(?<!the)(?<!which)(?<!what)(?<!non)(?<!one)(?<!a)(?<!dont)(?<!not)sto+p$",
    r"isaidsto+p|howdoisto+p|stahp|stawp|stop(?:it|pls|plz|please)",
    r"(?<!bus)(?<!tram)(?<!next)(?<!last)(?<!the)(?<!non)(?<!one)(?<!dont)(?<!first)sto+p(?!by|in|watch|for|at|over|s|page|near|ison|isthe)",
    r"(?:take|get|keep)(?:me|my|us|this).{0,8}(?:off|out|from)|(?:off|from)(?:your|the|this)(?:mailing|sms|text)?list$",
    r"(?:text|txt|message|contact)me(?:again|anymore)|(?:not|dont)(?:want|wish|need)(?:to)?(?:any|these|your|this|get|receive)",
    r"^quit(?:it|this)?$|^nomore(?:please|ofthis)?$",
    r"(?:remove|delete|erase|lose|forget)(?:my|this|our)?(?:number|phone|contact|details|info)|(?:remove|delete)me",
    r"unsub|opt(?:ing|ed|me|us)?out|cancel(?:my)?(?:the|these|all)?(?:subscription|texts|messages|sms)",
    r"^(?:im|iam|nothanks?|sorry|we|were)*notinterested(?!in)",
    r"(?:want|like)(?:to)?beremoved|donotdisturb|dontwantit|keep(?:texting|sending|messaging|spamming)|nolongerinterested|sickofth|annoying|leavemealone|goaway|wrongnumber|^enough(?:already|is|ofthis)*$|^block(?:this|me|number)|fuckoff|fuckyou",
    r"(?:^|this|is|as)spam$|(?:never|didnt|didnot)(?:signup|signedup|subscribe|ask|agree)",
    r"(?:who|how|where).{0,10}(?:gave|got|get|find).{0,6}mynumber",
)
"""Phrases of refusals, after `significant`: without spaces, punctuation and case."""
HARMLESS = (
    r"号码(?:是|换|绑|可以)|手机号(?:换|绑|可以)|换号|新号|收不到|短信(?:里|上|说|链接)(?:的|说|有)",
    r"^(?:我)?(?:没有?|不是)(?:要|想)?退订|^不(?:要|想)退订",
    rf"{GOODS}|投诉(?:快递|门店|哪|电话|渠道)|怎么投诉|为什么不",
    rf"{ORDERS}|dontstop|donotstop|subscribedalready",
)
"""Phrases that explain a match away: purchases, visits, goods."""
ANNOYED = (
    r"别|別|勿|莫|不(?!错|见|客气|急|着急|好意思|会|懂|知道|方便|限|同|一样|紧)|停|退|删|刪|取关|关掉|關掉|拒|滚|烦|煩|扰|擾|黑|"
    r"屏蔽|投诉|投訴|举报|報警|报警|垃圾|广告|廣告|轰炸|闭嘴|打住|恶心|噁心|骗|騙|没完|沒完|起诉|兴趣|妹$|妈的|逼",
    r"stop|unsub|remove|delete|cease|annoy|sickof|hate|spam|enough|nomore|dont|donot|never|leave|block|report|scam|"
    r"wtf|fuck|shit|optout|td|cutitout|getlost|harass|^no+$|nolonger|disgust|sue|annoyed",
)
"""What hardly anybody writes who is content, if nothing says that it is about a purchase."""
SHOPPING = (
    r"货|貨|件|[0-9]点|煩請|营业|營業|珠|退款|票|单|單|快递|券|积分|会员卡|会员日|优惠|店|门|門|点|點|地址|颜色|色|码|卡|约|航班|礼|包|吃|辣|甜|菜|管|电|水|车|車|款|"
    r"修|图|链|活动|名额|参加|报名|支付|价|贵|箱|柜|座|位|袋|取(?!消|关)|送|见|到|等|吗|嗎|呢|怎么|什么|哪|几|多少|改|换|買|买|谢谢$|"
    r"家|号(?!码)|天再|下周|下次|公布|公開|客气|担心|忘|关门|紧|用|别墅|区别|特别|级别|性别|垃圾(?!短信|信息|广告)|通知|同意|选|"
    r"烦请|麻烦|推荐|数|张|打扰一?下?了?请问|告知|看看",
    r"[0-9]|any|still|neighbour|rain|bother|remove(?!d?me|my|us|this|$|from|please|now)|^(?:is|are|can|could|do|does|how|what|when|where|which|will|would|may|should|whats|who)|order|shop|price|discount|"
    r"coupon|visit|tomorrow|today|later|stop(?:by|in|watch|for|at|over)|(?:bus|tram|next|last|one|non|the)stop|onemore|"
    r"know|worry|forget|cash|bag|need|see|gift|ticket|booking|mind|got|door|app|size|thanks$|legit|off",
)
"""What says so."""
_REFUSING, _HARMLESS = re.compile("|".join(REFUSING)), re.compile("|".join(HARMLESS))
_ANNOYED, _SHOPPING = re.compile("|".join(ANNOYED)), re.compile("|".join(SHOPPING))
LONGEST = 300
"""Only the beginning of a longer reply is looked at: whoever refuses says so soon."""


def looks_like_refusal(text: str) -> bool:
    """Return whether a person should decide if this reply is a refusal."""
    words = significant(text[:LONGEST])
    if _HARMLESS.search(words):
        return False
    return bool(_REFUSING.search(words) or (_ANNOYED.search(words) and not _SHOPPING.search(words)))
