"""A mail in the form in which SendGrid sends it, for the referees that judge whole messages."""

from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP

from newsletter.providers.base import Message
from newsletter.rendering.personalisation import fill


#: As short as encoded words and quoted-printable demand.
_SHORT_LINES = SMTP.clone(max_line_length=76)
#: A broken List-Unsubscribe would become encoded words, which no mail program reads as an address.
_LONG_LINES = SMTP.clone(max_line_length=998)


def as_sent(message: Message) -> bytes:
    """Write the mail to a request's first reader, in the form in which SendGrid sends it."""
    reader = message.recipients[0]
    mail = EmailMessage(policy=_SHORT_LINES)
    mail["Received"] = (
        "from s.wfbtzhfw.outbound-mail.sendgrid.net (s.wfbtzhfw.outbound-mail.sendgrid.net [149.72.120.130]) "
        "by mx.example.com with ESMTPS id 4a1B2c3D4e; Mon, 23 Nov 2026 01:00:03 +0000 (UTC)"
    )
    mail["Date"] = "Mon, 23 Nov 2026 01:00:01 +0000 (UTC)"
    mail["From"] = Address(message.sender_name, addr_spec=message.sender)
    mail["To"] = Address(reader.name, addr_spec=reader.address)
    mail["Reply-To"] = Address(addr_spec=message.reply_to)
    mail["Subject"] = fill(message.subject, reader.substitutions)
    mail["Message-ID"] = "<Zk3XQmWvTKyB0a9H1c2d3A@geopod-ismtpd-1>"
    for name, value in {**message.headers, **reader.headers}.items():
        mail[name] = value
    mail["MIME-Version"] = "1.0"
    mail.make_alternative()
    for subtype, content in (("plain", message.text), ("html", message.html)):
        part = EmailMessage(policy=_SHORT_LINES)
        part.set_content(fill(content, reader.substitutions), subtype=subtype, cte="quoted-printable")
        del part["MIME-Version"]
        mail.attach(part)
    _, body = mail.as_bytes().split(b"\r\n\r\n", 1)
    head = (
        (_LONG_LINES if name.startswith("List-") else _SHORT_LINES).fold_binary(name, value)
        for name, value in mail.items()
    )
    return b"".join(head) + b"\r\n" + body
