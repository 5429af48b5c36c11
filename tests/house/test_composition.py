"""What the composition chooses: who takes our mail, and the secret that suppressed addresses are kept with."""

from dataclasses import replace

import pytest
from pydantic import SecretStr, ValidationError

from newsletter.composition import Service, open_database
from newsletter.errors import Misconfigured
from newsletter.migrations import migrate
from newsletter.providers.sendgrid import SendGridProvider
from newsletter.settings import Settings


KEY = "SG.aaaaaaaaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
LOCAL = "http://127.0.0.1:9"


def provider(**settings) -> SendGridProvider:
    chosen = Service(Settings(_env_file=None, **settings)).provider(LOCAL)
    assert isinstance(chosen, SendGridProvider)
    return chosen


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"sendgrid_api_key": KEY},
        {"live": True},
        {"sendgrid_api_key": KEY, "sendgrid_url": "https://api.eu.sendgrid.com"},
    ],
)
def test_without_live_and_a_key_the_local_sendgrid_takes_every_mail(settings):
    account = provider(**settings).account
    assert account.url == LOCAL
    assert account.direct
    assert account.key.get_secret_value() == "SG.local"


def test_with_both_sendgrid_takes_it_at_the_address_that_is_set():
    both = {"live": True, "sendgrid_api_key": KEY, "public_url": "https://n.example.com"}
    assert provider(**both).account.url == "https://api.sendgrid.com"
    account = provider(**both, sendgrid_url="https://api.eu.sendgrid.com/").account
    assert account.url == "https://api.eu.sendgrid.com"
    assert account.key == SecretStr(KEY)


def test_an_alert_mail_is_not_waited_for_as_long_as_an_issue(tmp_path):
    settings = Settings(_env_file=None, data_dir=tmp_path)
    migrate(open_database(settings))
    for timeout, waited in ((60.0, 10.0), (3.0, 3.0)):
        service = Service(settings.model_copy(update={"sendgrid_timeout": timeout}))
        told_by = service.alert_desk(LOCAL).provider
        assert isinstance(told_by, SendGridProvider)
        assert told_by.account == replace(provider().account, timeout=waited)


@pytest.mark.parametrize("url", ["https://watch.example.com/ping/1", "http://127.0.0.1:9/ping"])
def test_a_copy_that_is_not_live_does_not_answer_for_the_original(url):
    settings = Settings(_env_file=None, heartbeat_url=url, sendgrid_api_key=KEY, public_url="https://n.example.com")
    assert Service(settings.model_copy(update={"live": True})).heartbeat_url == url
    assert Service(settings).heartbeat_url == (url if "127.0.0.1" in url else "")


@pytest.mark.parametrize(
    "wrong",
    [
        {"heartbeat_url": "watch.example.com/ping"},
        {"heartbeat_url": "https://["},
        {"emulator_url": "http://mail.example.com"},
        {"emulator_url": "http://192.168.1.5:8025"},
        {"public_url": "ftp://x"},
        {"public_url": "https://" + "a" * 60 + ".example.com"},
        {"batch_size": 1001},
        {"sendgrid_url": "https://host:abc"},
        {"allow_list": ","},
        {"allow_list": "example.com"},
        {"sendgrid_api_key": "SG.a b"},
        {"sendgrid_api_key": "SG.é"},
        {"live": True, "sendgrid_api_key": KEY, "public_url": "http://n.example.com"},
    ],
)
def test_a_setting_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValidationError):
        Settings(_env_file=None, **wrong)


def test_an_allow_list_is_read_from_one_line(monkeypatch):
    monkeypatch.setenv("NEWSLETTER_ALLOW_LIST", " Me@Example.com, @example.org ,")
    assert Settings(_env_file=None).allow_list == ("me@example.com", "@example.org")


def test_the_pepper_is_made_once_and_kept_from_others(tmp_path):
    first = Service(Settings(_env_file=None, data_dir=tmp_path)).hasher
    again = Service(Settings(_env_file=None, data_dir=tmp_path)).hasher
    assert first.key_id == again.key_id
    assert (tmp_path / "pepper").stat().st_mode & 0o777 == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["pepper"]


def test_people_and_secrets_are_for_the_owner_of_the_data_folder_alone(tmp_path):
    folder = tmp_path / "data"
    database = open_database(Settings(_env_file=None, data_dir=folder))
    migrate(database)
    database.close()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {file.name: oct(file.stat().st_mode & 0o777) for file in folder.iterdir()} == {"newsletter.db": "0o600"}


def test_an_emptied_pepper_is_not_replaced(tmp_path):
    """A new one would make every suppressed address mailable again."""
    (tmp_path / "pepper").touch()
    with pytest.raises(Misconfigured, match="pepper"):
        _ = Service(Settings(_env_file=None, data_dir=tmp_path)).hasher


def test_no_secret_is_shown(tmp_path):
    settings = Settings(_env_file=None, sendgrid_api_key=KEY, address_pepper="x" * 20)
    assert KEY not in repr(settings)
    assert "x" * 20 not in repr(settings)


def test_a_key_from_a_mounted_file_loses_its_newline():
    """No HTTP header takes one; the error would hold the key."""
    settings = Settings(_env_file=None, sendgrid_api_key=f"{KEY}\n")
    assert settings.sendgrid_api_key.get_secret_value() == KEY
