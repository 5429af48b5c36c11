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


def mailbox_provider(domain: str) -> str:
    """Name the mailbox provider of a lower-case domain, or ``other``."""
    return _PROVIDER_OF.get(domain, OTHER)
