"""The emulator's errors."""


class EmulatorError(Exception):
    """The local SendGrid cannot do what was asked."""
