"""The publications themselves: whether each may begin a mailing, and whether everybody is reached."""

from collections.abc import Iterator

from newsletter.doctor.installation import Installation
from newsletter.doctor.results import Result, ok, problem, warning
from newsletter.publications import what_is_missing


def complete(installation: Installation) -> Iterator[Result]:
    """Look whether each publication says what every mail must say."""
    for publication in installation.publications():
        if missing := what_is_missing(publication):
            words = ", ".join(field.replace("_", " ") for field in missing)
            yield problem(f"{publication.code} has no {words}", f"newsletter publication set {publication.code}")
        else:
            yield ok(f"{publication.code} has what every mail must say")


def allow_list(installation: Installation) -> Iterator[Result]:
    """Say so where only some may be mailed."""
    if not (allowed := installation.settings.allow_list):
        yield ok("everybody may be mailed")
    elif installation.live:
        yield warning(
            f"only {len(allowed)} addresses or domains are mailed, everybody else is excluded",
            "take NEWSLETTER_ALLOW_LIST out once the rehearsal is over",
        )
    else:
        yield ok(f"only {len(allowed)} addresses or domains are mailed")
