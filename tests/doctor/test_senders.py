"""Sender authentication by real look-ups: what SendGrid says of the domain, SPF, DKIM, DMARC, and who takes replies."""

from dataclasses import replace

import pytest

from newsletter.publications import PublicationForm, set_publication
from tests.doctor.conftest import DOMAIN, dkim_record


def send_from(ward, sender, reply_to="editor@example.org"):
    with ward.world.database.writing() as session:
        set_publication(session, "weekly", PublicationForm(sender=sender, reply_to=reply_to))


def test_a_domain_that_sendgrid_does_not_sign_for_is_named(ward):
    ward.sendgrid.on("/v3/whitelabel/domains", [])
    assert "does not sign for news.example.org" in ward.says("domain")
    ward.set(live=False)
    assert ward.status("domain") == "skipped"


def test_records_that_sendgrid_does_not_find_are_named(ward):
    broken = {"dkim2": {"valid": False, "host": "s2._domainkey.news.example.org"}}
    ward.sendgrid.on("/v3/whitelabel/domains", [DOMAIN | {"valid": False, "dns": broken}])
    assert "news.example.org: s2._domainkey.news.example.org →" in ward.says("domain")


def test_a_sender_at_a_mailbox_provider_is_refused_everywhere(ward):
    send_from(ward, "me@qq.com")
    assert "belongs to qq" in ward.says("domain")


def test_the_default_domain_signs_for_its_kin_and_nobody_else(ward):
    ward.sendgrid.on("/v3/whitelabel/domains", [DOMAIN | {"domain": "example.org"}])
    assert ward.status("domain") == "ok"
    ward.forget()
    ward.sendgrid.on("/v3/whitelabel/domains", [DOMAIN | {"domain": "other.example.net"}])
    assert ward.status("domain") == "problem"


@pytest.mark.parametrize(
    ("records", "status", "said"),
    [
        (["v=spf1 ip4:192.0.2.1 ~all"], "ok", "em12.news.example.org"),
        ([], "problem", "return path of news.example.org, has no SPF"),
        (["v=spf1 a -all", "v=spf1 mx -all"], "problem", "2 SPF records"),
        (["v=spf1 +all"], "problem", "lets anybody send"),
        (["v=spf10 -all"], "problem", "has no SPF"),
    ],
)
def test_spf_is_asked_of_the_return_path(ward, records, status, said):
    ward.names.on("u1.wl.sendgrid.net", "TXT", *records)
    assert ward.status("spf") == status
    assert said in ward.says("spf")


def test_without_sendgrids_answer_the_senders_own_names_are_asked(ward):
    ward.sendgrid.on("/v3/whitelabel/domains", {"errors": [{"message": "access forbidden"}]}, 403)
    assert "news.example.org has no SPF record" in ward.says("spf")
    assert ward.status("dkim") == "ok"
    assert "whitelabel.read" in ward.says("domain")


@pytest.mark.parametrize(
    ("record", "status", "said"),
    [
        (dkim_record(1024), "warning", "1024 bits"),
        ("k=rsa; p=", "problem", "withdrawn"),
        ("k=rsa; p=!!!", "problem", "no DKIM key"),
        ("v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", "ok", "256 bits"),
        ("hello", "problem", "no DKIM key"),
    ],
)
def test_dkim_keys_are_weighed(ward, record, status, said):
    ward.names.on("s1.sendgrid.net", "TXT", record)
    assert ward.status("dkim") == status
    assert said in ward.says("dkim")


@pytest.mark.parametrize(
    ("records", "status", "said"),
    [
        (["v=DMARC1; p=quarantine; rua=mailto:a@example.org"], "ok", "p=quarantine"),
        (["v=DMARC1; p=none"], "warning", "nobody gets its reports"),
        (["v=DMARC1; p=whatever"], "problem", "no policy that is one"),
        (["v=DMARC1; p=none", "v=DMARC1; p=reject"], "problem", "count as none"),
        ([], "problem", "holds no DMARC policy"),
        (["v=DMARC1; p=none; rua=mailto:a@example.org; adkim=s"], "ok", "aligned"),
    ],
)
def test_dmarc_is_read_as_receivers_read_it(ward, records, status, said):
    ward.names.on("_dmarc.news.example.org", "TXT", *records)
    assert ward.status("dmarc") == status
    assert said in ward.says("dmarc")


def test_the_organisations_policy_stands_in_with_what_it_says_of_domains_below(ward):
    ward.names.on("_dmarc.news.example.org", "TXT")
    ward.names.on("_dmarc.example.org", "TXT", "v=DMARC1; p=reject; sp=none; rua=mailto:a@example.org")
    assert "_dmarc.example.org: p=none" in ward.says("dmarc")


def test_strict_alignment_asks_for_the_very_domain(ward):
    ward.sendgrid.on("/v3/whitelabel/domains", [DOMAIN | {"domain": "example.org"}])
    assert ward.status("dmarc") == "ok"
    ward.names.on("_dmarc.news.example.org", "TXT", "v=DMARC1; p=none; rua=mailto:a@example.org; adkim=s")
    assert "not aligned with From news.example.org" in ward.says("dmarc")


def test_public_suffixes_are_no_organisation(ward):
    """Under co.uk two names are two owners."""
    send_from(ward, "weekly@one.co.uk")
    ward.sendgrid.on("/v3/whitelabel/domains", [DOMAIN | {"domain": "two.co.uk"}])
    assert ward.status("domain") == "problem"


def test_replies_must_arrive(ward):
    ward.names.on("example.org", "MX", "0 .")
    assert "Reply-To of weekly: example.org says that it takes no mail" in ward.says("exchanges")
    ward.names.on("example.org", "MX")
    assert "Reply-To of weekly: example.org has no MX record" in ward.says("exchanges")
    send_from(ward, "weekly@nowhere.example.net")
    assert "From of weekly: nowhere.example.net has no MX record, nor any address" in ward.says("exchanges")
    ward.names.on("nowhere.example.net", "A", "192.0.2.1")
    assert "the host itself takes mail" in ward.says("exchanges")


def test_a_domain_in_chinese_is_asked_by_its_ascii_name(ward):
    send_from(ward, "weekly@例子.中国")
    ward.names.on("xn--fsqu00a.xn--fiqs8s", "MX", "10 mx.example.org.")
    assert "takes mail for xn--fsqu00a.xn--fiqs8s" in ward.says("exchanges")


def test_a_server_that_fails_or_is_silent_is_not_a_missing_record(ward):
    ward.names.failing.add("_dmarc.news.example.org")
    assert ward.status("dmarc") == "warning"
    assert "could not be looked up: NoNameservers" in ward.says("dmarc")
    hasty = replace(ward.patient.resolver, lifetime=0.3)
    ward.patient = replace(ward.patient, resolver=hasty)
    ward.names.silent.add("em12.news.example.org")
    assert "could not be looked up: LifetimeTimeout" in ward.says("spf")


def test_a_record_with_control_characters_reaches_no_terminal(ward):
    ward.names.on("u1.wl.sendgrid.net", "TXT", "v=spf1 -all \\027[31m")
    assert "\x1b" not in ward.says("spf")
    assert ward.status("spf") == "ok"
