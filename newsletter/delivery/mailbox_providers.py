"""Which mailbox provider stands behind an address's domain: a data table. Pure.

A batch's lane is its provider, so that trouble with one provider touches only its own batches. Every domain that is
not listed shares the lane ``other``: a lane for each company's domain would make a request for each.
"""

from collections.abc import Mapping


OTHER = "other"

_DOMAINS: Mapping[str, tuple[str, ...]] = {
    "gmail": ("gmail.com", "googlemail.com"),
    "qq": ("qq.com", "foxmail.com", "vip.qq.com"),
    "netease": ("163.com", "126.com", "yeah.net", "vip.163.com", "vip.126.com", "188.com"),
    "sina": ("sina.com", "sina.cn", "vip.sina.com"),
    "aliyun": ("aliyun.com",),
    "sohu": ("sohu.com",),
    "china_mobile": ("139.com",),
    "china_telecom": ("189.cn",),
    "microsoft": ("outlook.com", "hotmail.com", "live.com", "live.cn", "msn.com", "outlook.jp"),
    "yahoo": ("yahoo.com", "ymail.com", "aol.com", "rocketmail.com", "yahoo.com.tw", "yahoo.com.hk"),
    "yahoo_japan": ("yahoo.co.jp",),
    "apple": ("icloud.com", "me.com", "mac.com"),
    "proton": ("proton.me", "protonmail.com", "pm.me"),
}

_PROVIDER_OF: Mapping[str, str] = {domain: provider for provider, domains in _DOMAINS.items() for domain in domains}


#: Invented readers stand below a top level that will never exist (RFC 2606 §2); see ``newsletter.rehearsal``.
_STAND_IN = ".rehearsal.invalid"
_STAND_IN_OF: Mapping[str, str] = {
    # No underscore may stand in a domain.
    provider: provider.replace("_", "-") + _STAND_IN
    for provider in (*_DOMAINS, OTHER)
}
_PROVIDER_OF_STAND_IN: Mapping[str, str] = {domain: provider for provider, domain in _STAND_IN_OF.items()}
STAND_IN_DOMAINS = frozenset(_PROVIDER_OF_STAND_IN)


def mailbox_provider(domain: str) -> str:
    """Name the mailbox provider of a lower-case domain, or ``other``; a stand-in domain is its provider's."""
    return _PROVIDER_OF.get(domain) or _PROVIDER_OF_STAND_IN.get(domain, OTHER)


def stand_in_domain(domain: str) -> str:
    """Give the domain at which nobody is, and which shares the lane of a real one."""
    return _STAND_IN_OF[mailbox_provider(domain)]
