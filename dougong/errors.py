"""Errors that a person can act on."""


class DougongError(Exception):
    """A failure with its remedy.

    Args:
        message: what is wrong and where, one line.
        remedy: what to do about it, one line or several; empty when the message says it all.
    """

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}\n  → {self.remedy}" if self.remedy else self.message
