"""Links: an author's targets become absolute, or plain text where they lead nowhere. Pure.

Both parts of a mail resolve through here, so that they hold the same links.
"""

import re
from dataclasses import dataclass
from urllib.parse import quote, urljoin, urlsplit


#: What a reader of a mail can follow. `javascript:` and `data:` are attacks, `file:` leads nowhere.
FOLLOWABLE = frozenset({"http", "https", "mailto", "tel"})
_WITHOUT_HOST = re.compile(r"https?:(?!//[^/?#])", re.IGNORECASE)
#: Reserved and already encoded characters stay; everything else is percent-encoded, the same in HTML and text.
_SAFE = "%!#$&'()*+,/:;=?@[]~-._"


@dataclass(frozen=True)
class Links:
    """Resolves targets on a site's address."""

    site_url: str

    def resolve(self, target: str) -> str | None:
        """Give a target's absolute address, or nothing where a mail's reader could not follow it.

        Root-relative and relative targets lead to the site; anchors within the text lead nowhere, since mail programs
        do not follow them.
        """
        target = target.strip()
        # Without a host, joining would lead these to the site itself.
        if not target or target.startswith("#") or _WITHOUT_HOST.match(target):
            return None
        try:
            absolute = urljoin(self.site_url + "/", target)
            parts = urlsplit(absolute)
        except ValueError:
            return None
        if parts.scheme not in FOLLOWABLE or (parts.scheme in {"http", "https"} and not parts.hostname):
            return None
        return quote(absolute, safe=_SAFE)
