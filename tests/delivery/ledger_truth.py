"""What truly happens to the requests of a ledger, and what the ledger must never say against it.

The other half of ``test_ledger_machine``: it plays everybody, and notes here what only the provider knows. A promise is
checked against that, never against what the ledger says of itself.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from sqlmodel import Session, col, select

from newsletter.delivery.claims import Claim
from newsletter.delivery.dispatch import Submission
from newsletter.delivery.doubts import follows_its_batch
from newsletter.delivery.lifecycle import BatchState, Difference, MailingState
from newsletter.delivery.models import Batch, Delivery, Exclusion, Mailing
from newsletter.delivery.progress import class_of
from newsletter.delivery.reach import ALREADY_REACHED
from subscribers.models import Subscription


@dataclass
class Call:
    """A call under way, and whether the provider has taken the request by now."""

    claim: Claim
    submission: Submission
    mailing_id: int
    is_taken: bool = False

    @property
    def attempt(self) -> str:
        """The attempt's id, which events carry."""
        return self.submission.attempt


@dataclass(frozen=True)
class Taken:
    """A request that the provider took: whom it reaches with what."""

    issue_id: int
    round: int
    delivery_ids: tuple[int, ...]
    readers: tuple[str, ...]


@dataclass
class Truth:
    """What the provider took and refused, what was heard of it, and what was decided without knowing.

    Attributes:
        taken: Requests that were taken, by attempt.
        unheard: Attempts that were taken and of which no event came yet.
        heard: Attempts of which an event came.
        resent: Attempts after which a person or a policy had their readers mailed once more.
        presumed: Deliveries that a person took for accepted.
        refused: Deliveries that were in a request that the provider refused.
    """

    taken: dict[str, Taken] = field(default_factory=dict)
    unheard: list[str] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    resent: set[str] = field(default_factory=set)
    presumed: set[int] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)

    def take(self, call: Call, mailing: Mailing) -> None:
        """The provider takes a request, whatever the caller learns of it."""
        call.is_taken = True
        readers = tuple(one.address for one in call.submission.message.recipients)
        round_ = mailing.id if mailing.again else 0
        self.taken[call.attempt] = Taken(mailing.issue_id, round_, call.submission.delivery_ids, readers)
        self.unheard.append(call.attempt)

    def nobody_is_reached_twice(self) -> None:
        """Each reader has an issue once; once more only for a request that somebody decided to send again."""
        reached = Counter(
            (reader, one.issue_id, one.round)
            for attempt, one in self.taken.items()
            if attempt not in self.resent
            for reader in one.readers
        )
        assert not [one for one, count in reached.items() if count > 1]

    def agrees(self, session: Session) -> None:
        """Nothing that was taken counts as certainly not taken, and nothing as accepted that was not taken."""
        reached = {number for one in self.taken.values() for number in one.delivery_ids}
        certainly_not: list[int] = list(session.exec(select(Delivery.id).where(~col(Delivery.may_have_reached))))
        assert reached.isdisjoint(certainly_not)
        in_accepted = select(Delivery.id).join(Batch, col(Batch.id) == col(Delivery.batch_id))
        whole = in_accepted.where(Batch.state == BatchState.accepted, follows_its_batch())
        alone = select(Delivery.id).where(Delivery.difference == Difference.proven)
        assert {*session.exec(whole), *session.exec(alone)} <= reached | self.presumed

    def everybody_is_accounted_for(
        self, session: Session, *, gone: Collection[str], emails: Mapping[int, str | None]
    ) -> None:
        """At the end each delivery stands where the truth says, and whoever is left out is so for a reason."""
        reached = {number for one in self.taken.values() for number in one.delivery_ids}
        mailings = {one.id: one for one in session.exec(select(Mailing))}
        rows = session.exec(select(Delivery, Batch).join(Batch, col(Batch.id) == col(Delivery.batch_id)))
        for delivery, batch in rows:
            end, state = class_of(batch.state, delivery.difference), mailings[delivery.mailing_id].state
            assert (end == "accepted") == (delivery.id in reached | self.presumed), (delivery, batch)
            match end:
                case "accepted" | "given_up":
                    pass
                case "skipped":
                    assert emails[delivery.subscriber_id] in gone, delivery
                case "rejected":
                    assert delivery.id in self.refused, delivery
                case "cancelled":
                    assert state is MailingState.cancelled, delivery
                case _:
                    raise AssertionError(f"{end}: {delivery}")
        for one in mailings.values():
            self.everybody_has_a_row(session, one)
        left_out = select(Exclusion).where(Exclusion.reason == ALREADY_REACHED)
        for exclusion in session.exec(left_out):
            assert _may_have_it(session, exclusion, mailings[exclusion.mailing_id]), exclusion

    def everybody_has_a_row(self, session: Session, mailing: Mailing) -> None:
        """Whoever subscribes is a recipient of a mailing that was frozen, or excluded from it for a reason."""
        if not mailing.frozen_at:
            return
        mine = select(Delivery.subscription_id).where(Delivery.mailing_id == mailing.id)
        excluded = session.exec(select(Exclusion).where(Exclusion.mailing_id == mailing.id)).all()
        rows = [*session.exec(mine), *(one.subscription_id for one in excluded)]
        assert sorted(rows) == sorted(session.exec(select(Subscription.id))), mailing
        assert not [one for one in excluded if one.reason.startswith("waits in")]


def _may_have_it(session: Session, exclusion: Exclusion, mailing: Mailing) -> bool:
    same = select(Delivery.mailing_id).where(
        Delivery.subscription_id == exclusion.subscription_id, Delivery.issue_id == mailing.issue_id
    )
    return any(one < mailing.id for one in session.exec(same))
