"""``/issues/``: what anybody may read of the issues that were mailed, with search; with a cookie, what a plan may read.

An issue's page comes of the same functions as its mail: ``document.parse``, ``access.cut``, and a rendering.
"""

import re

from fastapi import APIRouter
from fastapi.responses import Response

from newsletter.delivery.published import Published, is_retracted
from newsletter.publications import list_publications, zone_of
from newsletter.web.articles import Entry
from newsletter.web.pages import Here
from newsletter.web.searching import find, listed, question_of
from newsletter.web.site import ArchiveVisit, enter, home_of, missing


router = APIRouter()

A_PAGE = 20
#: An issue's number, and the words of its title that may follow; no row's number has more digits.
_ISSUE = re.compile(r"([0-9]{1,9})(?:-.*)?")
_LONGEST_PAGE = 5


@router.api_route("/issues/", methods=["GET", "HEAD"])
def front(visit: Here, q: str = "", page: str = "") -> Response:
    """Show the archive of the only publication, or which archives there are."""
    with visit.service.database.reading() as session:
        publications = list_publications(session)
        if len(publications) == 1 and (entered := enter(visit, session, publications[0].code)):
            return _archive(entered, q, page)
    archives = [{"name": one.name, "url": home_of(one)} for one in publications]
    return visit.show("archives", archives=archives)


@router.api_route("/issues/{code}/", methods=["GET", "HEAD"])
def archive(visit: Here, code: str, q: str = "", page: str = "") -> Response:
    """Show a publication's archive, newest first."""
    with visit.service.database.reading() as session:
        if entered := enter(visit, session, code):
            return _archive(entered, q, page)
    return missing(visit)


@router.api_route("/issues/{code}/{issue}", methods=["GET", "HEAD"])
def issue(visit: Here, code: str, issue: str) -> Response:
    """Show one issue: whatever follows its number in the path, the number says which."""
    match = _ISSUE.fullmatch(issue)
    with visit.service.database.reading() as session:
        entered = enter(visit, session, code)
        if entered and match:
            return _issue(entered, int(match[1]))
    return missing(visit, archive=home_of(entered.publication) if entered else "")


def _archive(entered: ArchiveVisit, written: str, page: str) -> Response:
    """Show a page of the list, or of what a search found. The search reads what anybody may, whoever asks."""
    question, (number, start) = question_of(written), _page(page)
    session, issues = entered.session, entered.issues()
    everybody = entered.press.readership(session, entered.publication)
    if question:
        found = find(entered.press.entries(session, everybody, issues), question)
        shown, count = found[start : start + A_PAGE], len(found)
    else:
        here = entered.press.entries(session, everybody, issues[start : start + A_PAGE])
        shown, count = [listed(entry) for entry in here], len(issues)
    home = home_of(entered.publication)
    return entered.show(
        "issues",
        path=home if number == 1 else f"{home}?page={number}",
        hidden=bool(question),
        question=question,
        shown=shown,
        count=count,
        zone=zone_of(entered.publication),
        newer=number - 1,
        older=number + 1 if start + A_PAGE < count else 0,
    )


def _issue(entered: ArchiveVisit, issue_id: int) -> Response:
    session, publication, issues = entered.session, entered.publication, entered.issues()
    place = next((place for place, one in enumerate(issues) if one.issue_id == issue_id), None)
    if place is None and is_retracted(session, issue_id, publication.id):
        return missing(entered.visit, "retracted", status=410, archive=home_of(publication))
    plan_id = entered.reader.subscription.plan_id if entered.reader else None
    readers = entered.press.readership(session, publication, plan_id)
    entry = None if place is None else next(entered.press.entries(session, readers, [issues[place]]), None)
    if place is None or entry is None:
        return missing(entered.visit, archive=home_of(publication))
    return entered.show(
        "issue",
        path=entry.path,
        entry=entry,
        zone=zone_of(publication),
        newer=_neighbour(entered, issues[max(place - 1, 0) : place]),
        older=_neighbour(entered, issues[place + 1 : place + 2]),
    )


def _neighbour(entered: ArchiveVisit, issues: tuple[Published, ...]) -> Entry | None:
    everybody = entered.press.readership(entered.session, entered.publication)
    return next(entered.press.entries(entered.session, everybody, issues), None)


def _page(written: str) -> tuple[int, int]:
    """Read a page's number; give it with the place where the page begins."""
    is_number = written.isascii() and written.isdecimal() and len(written) <= _LONGEST_PAGE
    number = max(1, int(written)) if is_number else 1
    return number, (number - 1) * A_PAGE
