"""The headers by which mail programs know a list and the way out of it; on issues and on notices that are list mail."""

from urllib.parse import urlsplit

from newsletter.publications import Publication


def list_id(publication: Publication) -> str:
    """Write the List-Id header: one name of the list for ever (RFC 2919).

    The phrase is left out, since it would have to be encoded; the site's host stands in ASCII, as headers want it.
    """
    host = (urlsplit(publication.site_url).hostname or "").encode("idna").decode()
    return f"<{publication.code}.{host}>"


def way_out(publication: Publication, unsubscribe_url: str, unsubscribe_id: str) -> dict[str, str]:
    """Write one reader's way out: one click (RFC 8058), and a mail where the publication has a mailbox for it.

    The subject has a colon where a space would be natural: some mail programs show what stands there undecoded, and
    an id must not run into the ``%20`` before it.
    """
    ways = [f"<{unsubscribe_url}>"]
    if publication.leave_mailbox:
        ways.append(f"<mailto:{publication.leave_mailbox}?subject=unsubscribe:{unsubscribe_id}>")
    return {"List-Unsubscribe": ", ".join(ways), "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
