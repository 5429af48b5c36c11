"""From MJML to HTML that mail programs take: mrml, then our own HTML into its slots, then premailer. Pure.

mrml drops newlines between inline elements, stumbles over conditional comments and refuses a bare `<`; so a document's
HTML never passes through it. A comment stands in its place, and is replaced afterwards.
"""

from collections.abc import Sequence

from lxml import etree
from mjml import mjml2html
from premailer import Premailer

from newsletter.errors import Misconfigured, NewsletterError


class BadMJML(Misconfigured):
    """The template does not give a mail."""


#: What mrml writes of its own that every mail would carry for nothing: 2.5 kB once premailer has inlined it.
_HEAVY = (
    ("table, td { border-collapse: collapse;", "table { border-collapse: collapse;"),
    ("p { display: block; margin: 13px 0; }\n", ""),
)
#: Attributes that premailer would write beside the styles they repeat; `height="auto"` on images is an error, too.
_NO_ATTRIBUTES = ["width", "height", "align", "valign", "bgcolor"]


def slot(number: int) -> str:
    """The comment that holds the place of a document's HTML in MJML."""
    return f"<!-- slot:{number} -->"


def to_mail_html(mjml: str, fragments: Sequence[str]) -> str:
    """Compile MJML, fill its slots with HTML, and inline the styles. The same input gives the same bytes.

    Raises:
        BadMJML: The MJML cannot be compiled, or a slot is not there exactly once.
        NewsletterError: mrml writes something else than it did.
    """
    try:
        # mrml says nothing of a tag that is closed by another name.
        etree.fromstring(mjml, etree.XMLParser(resolve_entities=False))
        html: str = mjml2html(mjml, fonts={})
    except (etree.XMLSyntaxError, ValueError) as error:
        raise BadMJML(f"it gives no valid MJML: {error}") from None
    for ours, theirs in _HEAVY:
        if ours not in html:
            raise NewsletterError(f"mrml no longer writes {ours!r}: look at what the mails carry now")
        html = html.replace(ours, theirs, 1)
    for number, fragment in enumerate(fragments):
        if html.count(slot(number)) != bool(fragment):
            raise BadMJML("it must hold each of `slots`, and `footer`, exactly once")
        html = html.replace(slot(number), fragment)
    return _inline(html)


def _inline(html: str) -> str:
    # premailer drops a lower-case doctype, and without one Outlook and browsers fall into quirks mode.
    html = html.replace("<!doctype html>", "<!DOCTYPE html>", 1)
    inlined: str = Premailer(
        html,
        strip_important=False,
        allow_network=False,
        disable_basic_attributes=_NO_ATTRIBUTES,
        disable_validation=True,
        cssutils_logging_level="CRITICAL",
    ).transform(pretty_print=False)
    return inlined
