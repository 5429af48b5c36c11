"""`newsletter plans`: what readers of a publication can have."""

from dataclasses import asdict
from typing import Annotated

import typer

from newsletter.cli.console import AsJSON, PublicationCode, open_service, print_json, print_rows, say
from newsletter.publications import publication_named
from subscribers.plans import NewPlan, add_plan, list_plans, set_inclusions


app = typer.Typer(help="Plans of a publication, and which include which.", no_args_is_help=True)

Code = Annotated[str, typer.Argument(help="Code of the plan, such as pro.")]
Includes = Annotated[list[str] | None, typer.Option("--includes", help="A plan that this one includes; repeatable.")]


@app.command()
def add(
    code: Code,
    name: Annotated[str, typer.Option(help="Name as readers see it.")] = "",
    includes: Includes = None,
    publication: PublicationCode = None,
) -> None:
    """Make a plan; the first one of a publication is its default."""
    service = open_service()
    with service.database.writing() as session:
        found = publication_named(session, publication)
        add_plan(session, NewPlan(found.id, code, name, tuple(includes or ())))
    say(f"Plan {code} is there.")


@app.command("set")
def set_(code: Code, includes: Includes = None, publication: PublicationCode = None) -> None:
    """Say which plans a plan includes; without --includes, none."""
    service = open_service()
    with service.database.writing() as session:
        found = publication_named(session, publication)
        set_inclusions(session, found.id, code, tuple(includes or ()))
    say(f"Plan {code} is changed.")


@app.command("list")
def list_(publication: PublicationCode = None, as_json: AsJSON = False) -> None:
    """List the plans; the first is the default."""
    with open_service().database.reading() as session:
        rows = [asdict(plan) for plan in list_plans(session, publication_named(session, publication).id)]
    if as_json:
        print_json(rows)
        return
    print_rows([row | {"includes": ", ".join(row["includes"])} for row in rows], ("code", "name", "includes"))
