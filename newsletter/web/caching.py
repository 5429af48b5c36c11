"""Caching of what everybody may read: who has the page already is told so instead of getting it again (RFC 9110 §13).

Only for answers that are the same for everyone: what a reader may read by a plan is never kept anywhere.
"""

import hashlib
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

from fastapi import Request
from fastapi.responses import Response


#: Seconds for which anybody may show what they have: a retracted issue is gone everywhere after so long.
FRESH_SECONDS = 300
_KEPT_WITH_304 = ("cache-control", "etag", "last-modified", "vary")


def cached(request: Request, answer: Response, *, changed_at: datetime | None) -> Response:
    """Mark an answer as one that may be kept, and shorten it to 304 where the request has it already."""
    # The tag is of the very bytes: no change of a plan's name or of a template is missed.
    answer.headers["ETag"] = f'"{hashlib.sha256(bytes(answer.body)).hexdigest()[:32]}"'
    answer.headers["Cache-Control"] = f"public, max-age={FRESH_SECONDS}"
    if changed_at:
        answer.headers["Last-Modified"] = format_datetime(changed_at.astimezone(UTC), usegmt=True)
    if answer.status_code == Response(None).status_code and _is_known(request, answer):
        kept = {name: answer.headers[name] for name in _KEPT_WITH_304 if name in answer.headers}
        return Response(status_code=304, headers=kept)
    return answer


def _is_known(request: Request, answer: Response) -> bool:
    if (tags := request.headers.get("if-none-match")) is not None:
        # The weak comparison; a tag beats a date (RFC 9110 §13.1.3).
        return any(tag.strip().removeprefix("W/") in {"*", answer.headers["ETag"]} for tag in tags.split(","))
    since, changed = request.headers.get("if-modified-since"), answer.headers.get("Last-Modified")
    if since is None or changed is None:
        return False
    try:
        return parsedate_to_datetime(changed) <= parsedate_to_datetime(since)
    except (ValueError, TypeError):
        # No date at all, or one without a zone.
        return False
