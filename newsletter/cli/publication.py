"""`newsletter publication`: newsletters as readers know them."""

from dataclasses import fields
from typing import Annotated, Any

import typer

from newsletter.cli.console import AsJSON, open_service, print_facts, print_json, print_rows, say
from newsletter.delivery.binding import replan
from newsletter.issues.document import read_text
from newsletter.publications import (
    Publication,
    PublicationForm,
    add_publication,
    from_header,
    list_publications,
    publication_named,
    set_publication,
    what_is_missing,
)
from subscribers.plans import NewPlan, add_plan


app = typer.Typer(help="Publications: name, sender, addresses, time zone, language.", no_args_is_help=True)

Code = Annotated[str, typer.Argument(help="Short name for commands, such as weekly.")]
Name = Annotated[str | None, typer.Option(help="Name as readers know it.")]
Sender = Annotated[str | None, typer.Option(help="Address that mails come from.")]
ReplyTo = Annotated[str | None, typer.Option(help="Address that takes replies.")]
SiteURL = Annotated[str | None, typer.Option("--site-url", help="Where root-relative links of issues point.")]
PostalAddress = Annotated[str | None, typer.Option(help="Postal address for the footer; the law asks for one.")]
TimeZone = Annotated[str | None, typer.Option(help="Time zone, such as Asia/Shanghai.")]
Locale = Annotated[str | None, typer.Option(help="Language of the mail's own texts: zh-CN or en.")]
SubscribeURL = Annotated[
    str | None, typer.Option("--subscribe-url", help="Where somebody to whom a mail was forwarded can subscribe.")
]
UpgradeURL = Annotated[str | None, typer.Option("--upgrade-url", help="Where a reader gets another plan.")]
LogoURL = Annotated[str | None, typer.Option("--logo-url", help="Image for the masthead, 40 px high.")]
BrandColor = Annotated[str | None, typer.Option("--brand-color", help="Accent of the mails, such as #b7791f.")]
StandingFooter = Annotated[
    str | None, typer.Option("--standing-footer", help="Markdown at the end of every issue, such as a disclaimer.")
]
Frequency = Annotated[str | None, typer.Option(help="How often it comes, as sign-up forms say it, such as weekly.")]
PrivacyURL = Annotated[str | None, typer.Option("--privacy-url", help="The privacy policy that readers agree to.")]
PrivacyVersion = Annotated[str | None, typer.Option("--privacy-version", help="Its version, such as 2026-11.")]
ConsentText = Annotated[
    str | None, typer.Option("--consent-text", help="Words of consent on sign-up forms, in place of our own.")
]
LeaveMailbox = Annotated[
    str | None,
    typer.Option("--leave-mailbox", help="Address whose mails unsubscribe their sender."),
]
NoIndex = Annotated[
    bool | None,
    typer.Option("--noindex/--index", help="Whether search engines are asked to leave the archive out."),
]

TrackOpens = Annotated[
    bool | None, typer.Option("--track-opens/--no-track-opens", help="Whether SendGrid counts opens.")
]
TrackClicks = Annotated[
    bool | None, typer.Option("--track-clicks/--no-track-clicks", help="Whether SendGrid counts clicks on links.")
]


@app.command()
def add(
    code: Code,
    name: Name = None,
    sender: Sender = None,
    reply_to: ReplyTo = None,
    site_url: SiteURL = None,
    postal_address: PostalAddress = None,
    time_zone: TimeZone = None,
    locale: Locale = None,
    subscribe_url: SubscribeURL = None,
    upgrade_url: UpgradeURL = None,
    logo_url: LogoURL = None,
    brand_color: BrandColor = None,
    standing_footer: StandingFooter = None,
    frequency: Frequency = None,
    privacy_url: PrivacyURL = None,
    privacy_version: PrivacyVersion = None,
    leave_mailbox: LeaveMailbox = None,
    consent_text: ConsentText = None,
    noindex: NoIndex = None,
    track_opens: TrackOpens = None,
    track_clicks: TrackClicks = None,
) -> None:
    """Create a publication, with a plan `free`."""
    looks = (subscribe_url, upgrade_url, logo_url, brand_color, standing_footer)
    sign_up = (frequency, privacy_url, privacy_version, leave_mailbox, consent_text)
    said = (name, sender, reply_to, site_url, postal_address, time_zone, locale, *looks, *sign_up)
    form = _form(*said, noindex=noindex, track_opens=track_opens, track_clicks=track_clicks)
    service = open_service()
    with service.database.writing() as session:
        publication = add_publication(session, code, form, now=service.clock())
        add_plan(session, NewPlan(publication.id, "free"))
    say(f"Publication {code} is there, with the plan free.")
    _say_missing(publication)


@app.command("set")
def set_(
    code: Code,
    name: Name = None,
    sender: Sender = None,
    reply_to: ReplyTo = None,
    site_url: SiteURL = None,
    postal_address: PostalAddress = None,
    time_zone: TimeZone = None,
    locale: Locale = None,
    subscribe_url: SubscribeURL = None,
    upgrade_url: UpgradeURL = None,
    logo_url: LogoURL = None,
    brand_color: BrandColor = None,
    standing_footer: StandingFooter = None,
    frequency: Frequency = None,
    privacy_url: PrivacyURL = None,
    privacy_version: PrivacyVersion = None,
    leave_mailbox: LeaveMailbox = None,
    consent_text: ConsentText = None,
    noindex: NoIndex = None,
    track_opens: TrackOpens = None,
    track_clicks: TrackClicks = None,
) -> None:
    """Change a publication; what is not named stays."""
    looks = (subscribe_url, upgrade_url, logo_url, brand_color, standing_footer)
    sign_up = (frequency, privacy_url, privacy_version, leave_mailbox, consent_text)
    said = (name, sender, reply_to, site_url, postal_address, time_zone, locale, *looks, *sign_up)
    form = _form(*said, noindex=noindex, track_opens=track_opens, track_clicks=track_clicks)
    service = open_service()
    with service.database.writing() as session:
        publication = set_publication(session, code, form)
        # In another time zone the slot comes at another instant.
        replan(session, publication, now=service.clock())
    say(f"Publication {code} is changed.")
    _say_missing(publication)


@app.command("list")
def list_(as_json: AsJSON = False) -> None:
    """List the publications."""
    with open_service().database.reading() as session:
        rows = [_row(publication) for publication in list_publications(session)]
    if as_json:
        print_json(rows)
    else:
        print_rows(rows, ("code", "name", "sender", "site_url", "time_zone", "locale"))


@app.command()
def show(code: Annotated[str | None, typer.Argument()] = None, as_json: AsJSON = False) -> None:
    """Show one publication."""
    with open_service().database.reading() as session:
        publication = publication_named(session, code)
    if as_json:
        print_json(_row(publication))
        return
    facts = _row(publication) | {"from_header": from_header(publication)}
    print_facts({name: value for name, value in facts.items() if name != "missing"})
    _say_missing(publication)


def _form(
    *said: str | None, noindex: bool | None, track_opens: bool | None, track_clicks: bool | None
) -> PublicationForm:
    """Put what was said, in the form's own order, into the form.

    Raises:
        BadIssue: The standing footer holds a container that no mail could be made with.
    """
    form = PublicationForm(*said, noindex=noindex, track_opens=track_opens, track_clicks=track_clicks)
    if form.standing_footer:
        read_text(form.standing_footer)
    return form


def _row(publication: Publication) -> dict[str, Any]:
    names = ("code", *(field.name for field in fields(PublicationForm)), "created_at")
    return {name: getattr(publication, name) for name in names} | {"missing": list(what_is_missing(publication))}


def _say_missing(publication: Publication) -> None:
    if missing := what_is_missing(publication):
        words = ", ".join(field.replace("_", " ") for field in missing)
        say(f"Before its first mailing it still needs: {words}.")
