"""What a check says, and the runner that makes of any failure a result: the bottom of the doctor."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeVar

from sqlalchemy.exc import SQLAlchemyError

from newsletter.doctor.names import Unanswered
from newsletter.errors import NewsletterError
from subscribers.errors import SubscribersError


Patient = TypeVar("Patient")


class Status(StrEnum):
    """How a result is meant, the worst first."""

    problem = "problem"
    warning = "warning"
    ok = "ok"
    skipped = "skipped"


@dataclass(frozen=True)
class Result:
    """One thing that was looked at.

    Attributes:
        status: How it is meant.
        seen: What was seen, for people.
        todo: What to do next; empty where nothing is to be done.
        check: Name of the check; the runner fills it in.
    """

    status: Status
    seen: str
    todo: str = ""
    check: str = ""


class Skip(Exception):
    """A check cannot be made here and now; the sentence says why."""


Check = Callable[[Patient], Iterable[Result]]


def ok(seen: str) -> Result:
    """Say that something is as it should be."""
    return Result(Status.ok, seen)


def warning(seen: str, todo: str) -> Result:
    """Say that something works and should be better."""
    return Result(Status.warning, seen, todo)


def problem(seen: str, todo: str) -> Result:
    """Say that something keeps mail from going out, from arriving, or from being accounted for."""
    return Result(Status.problem, seen, todo)


def run(checks: Mapping[str, Check[Patient]], patient: Patient) -> tuple[Result, ...]:
    """Make every check in turn; one that fails says so, and the next is made all the same."""
    return tuple(
        replace(result, check=name, seen=_shown(result.seen), todo=_shown(result.todo))
        for name, check in checks.items()
        for result in _made(check, patient)
    )


def _shown(text: str) -> str:
    # Some of it comes from name servers, from SendGrid, from a mail: no control character reaches a terminal.
    return "".join(character if character.isprintable() else " " for character in text)


def _made(check: Check[Patient], patient: Patient) -> list[Result]:
    results: list[Result] = []
    try:
        results.extend(check(patient))
    except Skip as skip:
        results.append(Result(Status.skipped, str(skip)))
    except Unanswered as error:
        results.append(warning(str(error), "ask again; name another server with --dns"))
    except (NewsletterError, SubscribersError) as error:
        # The house's errors say how to mend it in the same sentence.
        results.append(problem(str(error), ""))
    except SQLAlchemyError as error:
        results.append(problem(f"the database did not answer: {getattr(error, 'orig', None) or error}", _DATABASE))
    except OSError as error:
        results.append(problem(f"{error.filename or 'this machine'}: {error.strerror or error}", ""))
    except RecursionError:
        results.append(problem("it is nested deeper than anything can be read", ""))
    return results


_DATABASE = "see that NEWSLETTER_DATABASE_URL is right and the database runs"
