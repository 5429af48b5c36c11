"""Scripts of whole audiences: shares by provider and domain, in the words of the receiving servers."""

from collections import Counter

import pytest

from newsletter.delivery.mailbox_providers import mailbox_provider
from newsletter.emulator.errors import EmulatorError
from newsletter.emulator.events import Mail, events_of
from newsletter.emulator.reactions import Reactions
from newsletter.emulator.scripts import rules_of, server_texts
from newsletter.feedback.bounce_classes import classify
from newsletter.providers.sendgrid_events import read_event


def laid(audience, seed=0):
    reactions = Reactions()
    reactions.replace(rules_of({"audience": audience, "seed": seed}))
    return reactions


def fates(reactions, domain, count=2000):
    rules = [reactions.of(f"r{number}@{domain}") for number in range(count)]
    return Counter(rule.reason or str(rule.reaction) for rule in rules)


def test_shares_of_a_domain_exclude_each_other_and_the_rest_is_delivered():
    found = fates(laid({"example.com": {"bounce": 0.5, "open": 0.3}}), "example.com")
    assert found.total() == 2000
    assert found["bounce"] == pytest.approx(1000, abs=100)
    assert found["open"] == pytest.approx(600, abs=100)
    assert found["deliver"] == pytest.approx(400, abs=100)


def test_shares_that_are_all_leave_nobody():
    found = fates(laid({"*": {"bounce": 0.7, "open": 0.2, "click": 0.1}}), "example.com")
    assert set(found) == {"bounce", "open", "click"}


def test_the_domain_counts_before_its_provider_and_both_before_everybody():
    reactions = laid({"*": {"defer": 1}, "qq": {"frequency": 1}, "Foxmail.com": {"open": 1.0}, "example.org": {}})
    texts = server_texts()["qq"]["answers"]
    assert set(fates(reactions, "qq.com", 20)) == {texts["frequency"]["reason"]}
    assert set(fates(reactions, "foxmail.com", 20)) == {"open"}
    assert set(fates(reactions, "example.org", 20)) == {"deliver"}
    assert set(fates(reactions, "example.com", 20)) == {"defer"}


def test_a_provider_without_an_answer_of_its_own_says_what_any_server_says():
    (full,) = fates(laid({"qq.com": {"full": 1}}), "qq.com", 20)
    assert full == server_texts()["any"]["answers"]["full"]["reason"]


def test_a_share_can_be_told_like_a_reaction():
    rule = laid({"*": {"complain": {"rate": 1, "after": 3600}}}).of("a@example.com")
    assert (rule.reaction, rule.after) == ("complain", 3600)


def test_the_seed_chooses_who_and_the_same_seed_the_same():
    audience = {"*": {"bounce": 0.5}}
    chosen = [
        [laid(audience, seed).of(f"r{number}@example.com").reaction for number in range(50)] for seed in (1, 1, 2)
    ]
    assert chosen[0] == chosen[1] != chosen[2]


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"audience": {"*": 0.5}},
        {"audience": {"*": {"bounce": 0.6, "open": 0.5}}},
        {"audience": {"*": {"bounce": "all"}}},
        {"audience": {"*": {"sing": 0.5}}},
        {"audience": {"qqq": {"bounce": 0.5}}},
        {"audience": {"example.com": {"busy-mailbox": 0.5}}},
        {"audience": {"*": {"bounce": {"rate": 0.1, "who": "a"}}}},
        {"audience": {"*": {}}, "who": "a"},
        {"audience": {"*": {"bounce": 0.1}}, "seed": "x"},
    ],
)
def test_a_script_that_cannot_be_read_is_refused_and_changes_nothing(wrong):
    reactions = laid({"*": {"open": 1}})
    with pytest.raises(EmulatorError):
        reactions.replace(rules_of(wrong))
    assert reactions.of("a@example.com").reaction == "open"


#: What the service is to make of each answer.
MEANT = {
    "no-mailbox": ("hard", ""),
    "no-mailbox-later": ("hard", ""),
    "no-domain": ("soft", ""),
    "busy-mailbox": ("blocked", "frequency"),
    "frequency": ("blocked", "frequency"),
    "content": ("blocked", "content"),
    "reputation": ("blocked", "reputation"),
    "authentication": ("blocked", "authentication"),
    "readers-filter": ("soft", ""),
    "disabled": ("disabled", ""),
    "full": ("soft", ""),
    "too-large": ("too_large", ""),
}
ANSWERS = [(provider, name) for provider, one in server_texts().items() for name in one["answers"]]


@pytest.mark.parametrize(("provider", "name"), ANSWERS)
def test_the_service_knows_what_each_answer_means(provider, name):
    domain = (server_texts()[provider]["domains"] or ["example.com"])[0]
    rule = laid({domain: {name: 1}}).of(f"a@{domain}")
    bounce = list(events_of(Mail(f"a@{domain}", "m", 1, {}), rule, ""))[-1]
    assert bounce.kind == "bounce"
    verdict = classify(read_event(bounce.body), mailbox_provider(domain))
    assert (verdict.bounce_class, verdict.cause) == MEANT[name]


@pytest.mark.parametrize("provider", [name for name in server_texts() if name != "any"])
def test_a_providers_domains_are_those_of_the_service(provider):
    assert {mailbox_provider(domain) for domain in server_texts()[provider]["domains"]} == {provider}
