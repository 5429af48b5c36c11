"""`newsletter subscribers tag|set|attributes`: what an operator keeps of readers to find them by."""

from typing import Annotated

import typer

from newsletter.cli.console import (
    AsJSON,
    Conditions,
    PublicationCode,
    Yes,
    confirm,
    meant_by,
    open_service,
    print_json,
    print_rows,
    say,
)
from newsletter.cli.readers import AddressArgument
from newsletter.publications import home_of, publication_named
from subscribers.attributes import add_attribute, list_attributes, set_values, tag
from subscribers.matching import matches, this_one
from subscribers.models import AttributeKind
from subscribers.roster import count_matching, find_by_address


attributes = typer.Typer(help="What a publication keeps of its readers beside what everyone has.", no_args_is_help=True)

Words = Annotated[list[str], typer.Argument(metavar="CODE=VALUE", help="Such as city=上海; an empty value forgets it.")]


def tag_readers(
    address: Annotated[str | None, typer.Argument(metavar="[ADDRESS]")] = None,
    where: Conditions = None,
    add: Annotated[list[str] | None, typer.Option(help="A tag to put on; repeatable.")] = None,
    remove: Annotated[list[str] | None, typer.Option(help="A tag to take off; repeatable.")] = None,
    yes: Yes = False,
    publication: PublicationCode = None,
) -> None:
    """Put tags on one reader, or on all whom conditions name, and take tags off."""
    if (address is None) == (not where):
        raise typer.BadParameter("name either one ADDRESS or readers with --where")
    if not add and not remove:
        raise typer.BadParameter("say what to --add or --remove")
    service = open_service()
    with service.database.reading() as session:
        found = publication_named(session, publication)
        if address:
            who = this_one(find_by_address(session, found.id, address).id)
        else:
            who = matches(session, meant_by(where), home_of(found))
            number = count_matching(session, found.id, who)
    if not address:
        confirm(f"Change the tags of {number:,} readers of {found.name}?", yes=yes)
    with service.database.writing() as session:
        put, gone = tag(session, found.id, who, add=add or (), remove=remove or ())
    say(f"{put:,} tags put on, {gone:,} taken off.")


def set_attributes(address: AddressArgument, values: Words, publication: PublicationCode = None) -> None:
    """Keep values of attributes of one reader."""
    said = {}
    for word in values:
        code, equals, value = word.partition("=")
        if not equals:
            raise typer.BadParameter(f"{word!r}: write the attribute, an equals sign and the value: city=上海")
        said[code.strip()] = value
    with open_service().database.writing() as session:
        found = publication_named(session, publication)
        set_values(session, found.id, find_by_address(session, found.id, address).id, said)
    say("Kept.")


@attributes.command("add")
def add_(
    code: Annotated[str, typer.Argument(help="Short name, such as city; in conditions attr.city.")],
    kind: Annotated[AttributeKind, typer.Option(help="What its values are.")] = AttributeKind.text,
    publication: PublicationCode = None,
) -> None:
    """Say that a publication keeps something of its readers."""
    with open_service().database.writing() as session:
        add_attribute(session, publication_named(session, publication).id, code, kind)
    say(f"Attribute {code} is there: newsletter subscribers set ADDRESS {code}=…")


@attributes.command("list")
def list_(publication: PublicationCode = None, as_json: AsJSON = False) -> None:
    """List the attributes, and how many readers have a value of each."""
    with open_service().database.reading() as session:
        found = list_attributes(session, publication_named(session, publication).id)
    rows = [{"code": one.code, "kind": str(one.kind), "readers": one.readers} for one in found]
    if as_json:
        print_json(rows)
    else:
        print_rows(rows, ("code", "kind", "readers"))
