"""Each answer of SendGrid's falls into its class of DESIGN §5."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.providers.base import Ending, RefusedRecipient
from newsletter.providers.sendgrid_answers import Answer, classify


def errors(*pairs):
    return json.dumps(
        {"errors": [{"message": message, "field": field, "help": None} for field, message in pairs]}
    ).encode()


HTML = b"<html><head><title>Service Unavailable</title></head></html>"


@pytest.mark.parametrize(
    ("status", "body", "ending"),
    [
        (202, b"", Ending.accepted),
        # Sandbox mode, or a proxy that answers for itself: no promise of SendGrid's.
        (200, b"", Ending.ambiguous),
        (204, b"", Ending.ambiguous),
        (301, b"", Ending.refused),
        (307, b"", Ending.refused),
        (
            400,
            errors(("personalizations.0.to.0.email", "Does not contain a valid address.")),
            Ending.recipients_refused,
        ),
        (400, errors((None, "Bad Request")), Ending.recipients_refused),
        (400, b"not json", Ending.recipients_refused),
        (400, b"[" * 100_000, Ending.recipients_refused),
        (400, errors((f"personalizations.{'9' * 5000}.to", "no")), Ending.refused),
        (400, errors(("subject", "The subject is required.")), Ending.refused),
        (401, errors((None, "The provided authorization grant is invalid")), Ending.unauthorised),
        (403, errors((None, "access forbidden")), Ending.unauthorised),
        (404, b"", Ending.refused),
        (405, b"", Ending.refused),
        (408, b"", Ending.ambiguous),
        (413, HTML, Ending.too_large),
        (415, b"", Ending.refused),
        (421, b"", Ending.ambiguous),
        (429, errors((None, "too many requests")), Ending.throttled),
        (429, b"", Ending.throttled),
        (500, errors((None, "Internal Server Error")), Ending.ambiguous),
        (502, HTML, Ending.ambiguous),
        (503, errors((None, "Service Unavailable")), Ending.throttled),
        # A gateway's 503: the request may have been handled behind it.
        (503, HTML, Ending.ambiguous),
        (504, HTML, Ending.ambiguous),
    ],
)
def test_an_answer_falls_into_its_class(status, body, ending):
    assert classify(Answer(status, {}, body), now=0).ending is ending


def test_an_acceptance_carries_the_message_id():
    end = classify(Answer(202, {"x-message-id": "kA5kcHA8SVGtVh5S9rAUew"}, b""), now=0)
    assert end.message_id == "kA5kcHA8SVGtVh5S9rAUew"


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"x-ratelimit-reset": "1060"}, 60.0),
        ({"x-ratelimit-reset": "900"}, 0.0),
        ({"retry-after": "7"}, 7.0),
        ({"x-ratelimit-reset": "soon"}, None),
        ({"retry-after": "-inf"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "nan"}, None),
        ({}, None),
    ],
)
def test_a_reset_header_is_honoured_where_it_is_there(headers, wait):
    assert classify(Answer(429, headers, b""), now=1000).wait_seconds == wait


def test_named_recipients_are_given_by_their_place_and_once():
    body = errors(
        ("personalizations.4.to", "no"), ("personalizations.4.to.0.email", "no"), ("personalizations.1.to", "bad")
    )
    assert classify(Answer(400, {}, body), now=0).refused == (RefusedRecipient(1, "bad"), RefusedRecipient(4, "no"))


def test_no_address_gets_into_what_people_read():
    body = errors(("personalizations.0.to", "someone@example.com is not valid"))
    end = classify(Answer(400, {}, body), now=0)
    assert "example.com" not in end.detail + end.refused[0].reason
    assert "[address] is not valid" in end.refused[0].reason


@given(status=st.integers(100, 599), body=st.binary(max_size=300), header=st.text(max_size=20))
def test_any_answer_has_a_class(status, body, header):
    """Whatever comes back, it is classified, and only a 202 is accepted."""
    end = classify(Answer(status, {"x-ratelimit-reset": header}, body), now=0)
    assert (end.ending is Ending.accepted) == (status == 202)
