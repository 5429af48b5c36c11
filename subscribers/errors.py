"""The errors of the people's package: its bottom, beside ``actors``; the edges turn them into answers.

    SubscribersError
    ├── InvalidAddress     no mail can reach what was typed
    ├── UnreadableFile     a CSV file as a whole cannot be imported
    ├── MissingConsent     an import does not say on what the readers' consent rests
    ├── RefusedPlan        a plan cannot be made or changed as asked
    ├── RefusedFilter      a filter of readers cannot be read, or names what there is not
    ├── RefusedPause       a subscription cannot be paused as asked
    ├── UnknownPlan        the publication has no such plan
    ├── UnknownSubscriber  nobody of this address is in the publication
    ├── HasLeft            the reader left; only the reader can come back
    ├── IsSuppressed       the address must not be mailed
    ├── OtherPepper        the store was made with a pepper that is not in use
    └── NewPepper          the newest pepper is not the store's yet

Each sentence says what is wrong, where, and how to mend it. None holds an address: errors reach log lines.
"""


class SubscribersError(Exception):
    """Something about people was refused; nothing was changed."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.__doc__)


class InvalidAddress(SubscribersError):
    """No mail can reach this address."""


class UnreadableFile(SubscribersError):
    """The file as a whole cannot be imported.

    Args:
        message: What is wrong and how to mend it.
        line: The line of the file, counted from 1, where one is known.
    """

    def __init__(self, message: str, line: int | None = None) -> None:
        self.line = line
        super().__init__(message if line is None else f"line {line}: {message}")


class MissingConsent(SubscribersError):
    """An import must say on what the readers' consent rests, such as "signed up on the old site, double opt-in"."""


class RefusedPlan(SubscribersError):
    """The plan cannot be made, changed or given as asked."""


class RefusedFilter(SubscribersError):
    """The filter of readers cannot be read, or names what there is not."""


class RefusedPause(SubscribersError):
    """The subscription cannot be paused as asked."""


class UnknownPlan(SubscribersError):
    """The publication has no such plan."""


class UnknownSubscriber(SubscribersError):
    """Nobody of this address is in the publication."""


class HasLeft(SubscribersError):
    """The reader left this publication; only the reader can come back."""


class IsSuppressed(SubscribersError):
    """The address must not be mailed."""


class OtherPepper(SubscribersError):
    """The store was made with a pepper that is missing, so that suppressions would not be recognised.

    Name it before the newer ones, as it was when the readers were stored.
    """


class NewPepper(SubscribersError):
    """The newest pepper is new to this store: run `newsletter init`, which hashes what is stored with it."""
