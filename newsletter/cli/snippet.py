"""`newsletter publication snippet`: a sign-up form to put into any other page."""

from typing import Annotated, Literal

import typer

from newsletter.cli.console import open_service, say
from newsletter.composition import shipped
from newsletter.errors import Refused
from newsletter.publications import publication_named
from newsletter.web.pages import load_pages
from newsletter.web.signing_up import form_of
from subscribers.consent_texts import keep_text
from subscribers.plans import list_plans


def snippet(
    code: Annotated[str | None, typer.Argument(help="Code of the publication, if several.")] = None,
    lang: Annotated[Literal["zh", "en"], typer.Option(help="Language of the form.")] = "zh",
) -> None:
    """Print a form for other pages: plain HTML, no script. Its words of consent are kept as proof."""
    service = open_service()
    if not (address := service.settings.public_url):
        raise Refused("readers cannot reach a form that knows no address: set NEWSLETTER_PUBLIC_URL")
    pages = load_pages(shipped("templates"), live=service.live)
    words = pages.words[lang]
    with service.database.writing() as session:
        publication = publication_named(session, code)
        form = form_of(publication, list_plans(session, publication.id), words, lang)
        keep_text(session, publication.id, form.shown, now=service.clock())
    html = pages.environment.get_template("pages/sign-up-form.html.j2").render(
        t=words,
        language=lang,
        plans=form.plans,
        chosen=form.plans[0].code if form.plans else "",
        address="",
        words=form.words,
        words_hash=form.shown.sha256,
        privacy_url=publication.privacy_url,
        action=f"{address}/sign-up/{publication.code}?lang={lang}",
        error="",
    )
    say(html)
