"""Whether a saved mail's DKIM signatures hold, by dkimpy and the keys in the DNS."""

from collections.abc import Callable, Iterator

import dkim

from newsletter.doctor.installation import OFFLINE
from newsletter.doctor.names import Names, Unanswered
from newsletter.doctor.results import Result, Skip, Status, ok, warning
from newsletter.doctor.saved_mail import SavedMail


#: More are nobody's honest mail, and each asks a name server.
MOST = 10
_CHANGED = "save the mail byte for byte; where it was, something on the way changed it, or the key was renewed since"


def signature_holds(mail: SavedMail, names: Names | None) -> Iterator[Result]:
    """Check each signature; that none is there is another check's.

    Raises:
        Skip: Offline, or there is none.
    """
    if not mail.signatures:
        raise Skip("the mail is not signed")
    if names is None:
        raise Skip(OFFLINE)
    for index, signature in enumerate(mail.signatures[:MOST]):
        yield _checked(mail.raw, index, f"the signature of {signature.domain or 'nobody'}", names)


def _checked(raw: bytes, index: int, what: str, names: Names) -> Result:
    try:
        holds = dkim.DKIM(raw).verify(index, dnsfunc=_texts(names))
    except Unanswered as error:
        return Result(Status.skipped, f"{what}: {error}")
    except dkim.DKIMException as error:
        return warning(f"{what} does not hold: {error}", _CHANGED)
    except Exception as error:  # noqa: BLE001 - what the library makes of a broken mail is a finding, not our end
        return warning(f"{what} cannot be read: {type(error).__name__}", _CHANGED)
    return ok(f"{what} holds") if holds else warning(f"{what} does not hold", _CHANGED)


def _texts(names: Names) -> Callable[..., bytes | None]:
    def texts(name: bytes, timeout: int = 5) -> bytes | None:  # noqa: ARG001 - the library's signature; ours is bounded
        found = names.texts(name.decode("ascii", "replace"))
        return found[0].encode() if found else None

    return texts
