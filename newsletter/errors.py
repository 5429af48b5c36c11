"""The errors of the service: the bottom floor, imported by every other.

    NewsletterError
    ├── Refused            the request is understood and not carried out; nothing was changed
    │   ├── NotFound       what was named does not exist
    │   └── BadIssue       an issue's source cannot be read
    └── Misconfigured      settings, keys or files of the installation are wrong

Each sentence says what is wrong, where, and how to mend it: operators read it as it stands.
"""


class NewsletterError(Exception):
    """Something went wrong in the newsletter service."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.__doc__)


class Refused(NewsletterError):
    """The request was refused; nothing was changed."""


class NotFound(Refused):
    """There is no such thing."""


class BadIssue(Refused):
    """The issue's source cannot be read.

    Args:
        message: What is wrong and how to mend it.
        line: The line of the source, counted from 1, where one is known.
    """

    def __init__(self, message: str, line: int | None = None) -> None:
        self.line = line
        super().__init__(message if line is None else f"line {line}: {message}")


class Misconfigured(NewsletterError):
    """A setting, a key or a file of this installation is wrong."""
