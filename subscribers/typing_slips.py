"""Typing slips in the domains of addresses: ``gmial.com`` for ``gmail.com``. Pure; for ``importing`` and sign-up.

A slip is only ever suggested. Nothing is corrected: ``163.com`` and ``126.com`` are one slip apart, and so are many
domains that belong to somebody.
"""

from functools import lru_cache

from rapidfuzz.distance import OSA


#: The domains most readers have, whose slips are worth a word.
MEANT = frozenset(
    {
        *("qq.com", "vip.qq.com", "foxmail.com"),
        *("163.com", "126.com", "vip.163.com", "vip.126.com", "yeah.net", "188.com"),
        *("sina.com", "sina.cn", "vip.sina.com", "sohu.com", "139.com", "189.cn", "aliyun.com", "21cn.com", "tom.com"),
        *("gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "live.com", "msn.com"),
        *("icloud.com", "me.com", "mac.com", "yahoo.com", "yahoo.co.jp", "yahoo.co.uk", "aol.com"),
        *("protonmail.com", "proton.me", "gmx.de", "gmx.net", "web.de", "naver.com", "hanmail.net", "daum.net"),
    }
)

#: Others that give people mailboxes, or are well known, and stand one slip from those above.
OTHERS = frozenset(
    {
        *(
            "mail.com",
            "email.com",
            "ymail.com",
            "gmx.com",
            "gmx.at",
            "gmx.ch",
            "web.com",
            "cloud.com",
            "pm.me",
            "my.com",
        ),
        *("live.cn", "live.ca", "live.nl", "live.de", "live.fr", "live.it", "live.se", "live.co.uk", "love.com"),
        *("outlook.cn", "outlook.de", "outlook.fr", "outlook.jp", "outlook.es", "outlook.it", "outlook.co.id"),
        *("hotmail.de", "hotmail.fr", "hotmail.it", "hotmail.es", "hotmail.co.uk", "hotmail.co.jp", "msn.cn"),
        *("yahoo.cn", "yahoo.de", "yahoo.fr", "yahoo.it", "yahoo.es", "yahoo.in", "yahoo.ca", "yahoo.com.cn"),
        *("yahoo.com.tw", "yahoo.com.hk", "yahoo.co.in", "yahoo.co.id", "yahoo.co.kr", "yahoo.co.nz", "yahoo.co.za"),
        *("sina.com.cn", "sina.net", "163.net", "126.net", "263.net", "aol.de", "aol.fr", "aim.com", "qq.cn", "q.com"),
    }
)

#: Names shorter than this are one slip from too much else: there only doubled and swapped letters count.
_LONG_ENOUGH = 5


def suggestion_for(address: str) -> str:
    """Give the address that was perhaps meant, or nothing where no slip shows, or more than one domain may be meant."""
    local, at, domain = address.strip().rpartition("@")
    meant = meant_domain(domain.casefold()) if at and local else ""
    return f"{local}@{meant}" if meant else ""


@lru_cache(maxsize=10_000)
def meant_domain(domain: str) -> str:
    """Give the well-known domain that one slip of the hand turns into this one, or nothing."""
    if domain in MEANT or domain in OTHERS:
        return ""
    near = [meant for meant in MEANT if OSA.distance(domain, meant, score_cutoff=1) == 1 and _is_slip(domain, meant)]
    return near[0] if len(near) == 1 else ""


def _is_slip(domain: str, meant: str) -> bool:
    """Tell a slip from another domain that is merely near: in a short name most changes make somebody else's."""
    name, _, _ = meant.partition(".")
    if len(name) >= _LONG_ENOUGH or domain.startswith(f"{name}."):
        return True
    swapped = sorted(domain) == sorted(meant)
    doubled = any(meant[:at] + meant[at - 1] + meant[at:] == domain for at in range(1, len(meant)))
    lost_dot = domain == meant.replace(".", "", 1)
    return swapped or doubled or lost_dot
