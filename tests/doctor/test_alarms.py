"""Whether an operator hears of trouble where SendGrid or the machine itself is what is broken."""

import pytest
from pydantic import SecretStr


HOOK = "feishu+https://open.feishu.example.com/hook/s3cret"
WATCH = "https://watch.example.com/s3cret"


@pytest.mark.parametrize(
    ("mail", "hooks", "watch", "status", "said"),
    [
        ("ops@example.com", HOOK, WATCH, "ok", "a way that is not SendGrid"),
        ("", HOOK, WATCH, "ok", "a way that is not SendGrid"),
        ("ops@example.com", "", WATCH, "warning", "leave by SendGrid alone"),
        ("", "", WATCH, "warning", "told to nobody"),
        ("ops@example.com", HOOK, "", "warning", "nobody notices"),
        ("ops@example.com", "https://ops.example.com/s3cret", WATCH, "problem", "a generic hook needs the secret"),
    ],
)
def test_live_there_is_a_way_that_is_not_sendgrid_and_a_watch(ward, mail, hooks, watch, status, said):
    alert_mail = tuple(filter(None, [mail]))
    ward.set(alert_mail=alert_mail, alert_hooks=SecretStr(hooks), heartbeat_url=SecretStr(watch))
    assert ward.status("alarms") == status
    assert said in ward.says("alarms")
    assert "s3cret" not in ward.says("alarms")


def test_not_live_nobody_is_alarmed(ward):
    ward.set(live=False)
    assert ward.status("alarms") == "ok"
