"""What a publication has decided about its mailings: doubts, pace, protection, lateness. Pure.

``policies`` keeps it; ``slots``, ``settlement``, ``pacing`` and ``mailings`` follow it. Limits of protection are those
of the field: 2 % hard bounces, 5 % blocked, 0.1 % complaints, looked at after the first 500 (docs/sending.md).
"""

from datetime import date, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator


class UnknownPolicy(StrEnum):
    """What becomes of a request whose outcome stays unknown after the quiet time (DESIGN §4.4)."""

    hold = "hold"
    resend = "resend"
    give_up = "give_up"


Share = Annotated[float, Field(gt=0, le=1)]


class Policy(BaseModel):
    """A publication's policy for its mailings; the defaults hold where it said nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    unknown: UnknownPolicy = Field(
        UnknownPolicy.hold, description="After the quiet time without proof: hold (ask), resend or give_up."
    )
    quiet_minutes: float = Field(
        360, gt=0, le=10_080, description="Quiet time of an unknown outcome; it passes only while other events arrive."
    )
    late_minutes: int = Field(
        360, ge=1, le=10_080, description="A mailing that begins later than this after its time is held and asks."
    )
    warn_minutes: int = Field(
        1440, ge=0, le=10_080, description="So long before an empty slot the operator is told; 0: not at all."
    )
    undo_minutes: int = Field(
        10, ge=0, le=1440, description="At least so long between scheduling and the first call, to undo it."
    )
    stale_days: int = Field(7, ge=1, le=365, description="A ready issue older than this is held instead of mailed.")
    away_minutes: int = Field(
        720, ge=1, le=10_080, description="While SendGrid does not answer, try so long; then hold and ask."
    )
    stale_content_minutes: int = Field(
        2880,
        ge=1,
        le=40_320,
        description="Older than this it asks first: a mailing after its time, a request of unknown outcome.",
    )
    requests_in_flight: int = Field(0, ge=0, le=64, description="Requests under way at the same time; 0: no limit.")
    provider_requests_in_flight: dict[str, Annotated[int, Field(ge=1, le=64)]] = Field(
        default_factory=dict, description="Requests under way to one mailbox provider, such as qq:1."
    )
    recipients_per_second: float = Field(0, ge=0, le=1_000_000, description="Recipients a second; 0: no limit.")
    provider_per_second: dict[str, Annotated[float, Field(gt=0)]] = Field(
        default_factory=dict, description="Recipients a second to one mailbox provider, such as qq:50."
    )
    first_wave: int = Field(
        0, ge=0, le=100_000, description="So many readers of each mailbox provider first, then a look; 0: all at once."
    )
    look_minutes: int = Field(30, ge=1, le=1440, description="How long feedback is awaited after the first wave.")
    hold_after: int = Field(500, ge=1, description="Protection looks once so many of a mailing were accepted.")
    hold_hard_share: Share = Field(0.02, description="More hard bounces than this hold a provider, or the mailing.")
    hold_blocked_share: Share = Field(0.05, description="More mails blocked for our reasons than this hold it.")
    hold_complaint_share: Share = Field(0.001, description="More complaints than this hold it; Gmail's line is 0.1 %.")
    warm_up: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (), description="Readers an issue may reach in each week of the warm-up, such as 500,1000,2000."
    )
    warm_up_from: date | None = Field(None, description="First day of the warm-up, in the publication's zone.")

    @model_validator(mode="after")
    def _warm_up_begins(self) -> "Policy":
        if self.warm_up and self.warm_up_from is None:
            raise ValueError("a warm-up needs its first day: say warm_up_from=YYYY-MM-DD with it")
        return self

    @property
    def paces(self) -> bool:
        """Whether anything limits how fast it goes."""
        in_flight = self.requests_in_flight or self.provider_requests_in_flight
        return bool(in_flight or self.recipients_per_second or self.provider_per_second)

    @property
    def away(self) -> timedelta:
        """How long a mailing waits for SendGrid before it is held."""
        return timedelta(minutes=self.away_minutes)

    @property
    def look(self) -> timedelta:
        """How long feedback is awaited after the first wave."""
        return timedelta(minutes=self.look_minutes)

    @property
    def stale_content(self) -> timedelta:
        """After how long something asks before it goes on: a mailing since its time, a request since its call."""
        return timedelta(minutes=self.stale_content_minutes)

    @property
    def undo(self) -> timedelta:
        """How long an operator can undo a mailing before its first call."""
        return timedelta(minutes=self.undo_minutes)

    @property
    def late(self) -> timedelta:
        """How late a mailing may begin without asking."""
        return timedelta(minutes=self.late_minutes)

    @property
    def stale(self) -> timedelta:
        """How long an issue may have been ready when its slot comes."""
        return timedelta(days=self.stale_days)

    @property
    def warning(self) -> timedelta:
        """How long before an empty slot an operator is told."""
        return timedelta(minutes=self.warn_minutes)

    @property
    def quiet(self) -> timedelta:
        """How long an outcome stays unknown before this policy decides."""
        return timedelta(minutes=self.quiet_minutes)
