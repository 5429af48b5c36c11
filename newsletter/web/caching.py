"""Caching of what everybody may read: who has the page already is told so instead of getting it again (RFC 9110 §13).

Only for answers that are the same for everyone: what a reader may read by a plan is never kept anywhere.
"""

import hashlib

from fastapi import Request
from fastapi.responses import Response


#: Seconds for which anybody may show what they have: a retracted issue is gone everywhere after so long.
FRESH_SECONDS = 300
_KEPT_WITH_304 = ("cache-control", "etag", "vary")


def cached(request: Request, answer: Response) -> Response:
    """Mark an answer as one that may be kept, and shorten it to 304 where the request has it already."""
    # The tag is of the very bytes, which no date could stand for: a new name or template, an issue that was put back.
    answer.headers["ETag"] = f'"{hashlib.sha256(bytes(answer.body)).hexdigest()[:32]}"'
    answer.headers["Cache-Control"] = f"public, max-age={FRESH_SECONDS}"
    if answer.status_code == Response(None).status_code and _is_known(request, answer):
        kept = {name: answer.headers[name] for name in _KEPT_WITH_304 if name in answer.headers}
        return Response(status_code=304, headers=kept)
    return answer


def _is_known(request: Request, answer: Response) -> bool:
    """Compare the tags, weakly (RFC 9110 §13.1.2)."""
    tags = request.headers.get("if-none-match", "").split(",")
    return any(tag.strip().removeprefix("W/") in {"*", answer.headers["ETag"]} for tag in tags)
