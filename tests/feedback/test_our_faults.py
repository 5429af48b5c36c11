"""What we are refused for is told to an operator, by mailbox provider: before many are, where it is authentication."""

from newsletter.alerts import Alert, AlertKind
from tests.feedback.test_feedback import mailed, rows, surge_limits


TOO_BIG = {"status": "5.3.4", "type": "blocked", "reason": "552 5.3.4 message too big"}
NOT_PROVEN = {"status": "5.7.515", "type": "blocked", "reason": "550 5.7.515 Access denied, sending domain"}
REFUSED = {"status": "5.7.1", "type": "blocked", "reason": "550 5.7.1 not welcome"}
#: By domain: how many of its readers are refused, and why.
SAID = {
    "gmail.com": (3, TOO_BIG),
    "yahoo.com": (3, REFUSED),
    # Where proof is asked for, nobody is reached without it: so few readers that no surge would ever be seen.
    "outlook.com": (2, NOT_PROVEN),
    "163.com": (2, TOO_BIG),
    "qq.com": (1, NOT_PROVEN),
}


def test_faults_of_ours_are_told_with_their_causes_and_a_few_others_are_not(feedback):
    surge_limits(feedback)
    refused = {f"r{number}@{domain}": said for domain, (count, said) in SAID.items() for number in range(count)}
    whose = mailed(feedback, *refused)
    now = feedback.world.clock()
    feedback.say(*(feedback.event(whose[one], "bounce", now, **said) for one, said in refused.items()))
    told = {
        one.facts["provider"]: one.facts["causes"] for one in rows(feedback, Alert) if one.kind is AlertKind.blocked
    }
    assert told == {"gmail": "too_large 3", "yahoo": "reputation 3", "microsoft": "authentication 2"}
