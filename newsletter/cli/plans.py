"""`newsletter plans`: what readers of a publication can have."""

from dataclasses import asdict, fields
from typing import Annotated, Any

import typer

from newsletter.cli.console import AsJSON, PublicationCode, open_service, print_json, print_rows, say
from newsletter.publications import publication_named
from subscribers.plan_forms import PlanForm, set_plan
from subscribers.plans import NewPlan, add_plan, list_plans


app = typer.Typer(help="Plans of a publication, which include which, and what comes after them.", no_args_is_help=True)

Code = Annotated[str, typer.Argument(help="Code of the plan, such as pro.")]
Name = Annotated[str | None, typer.Option(help="Name as readers see it.")]
Includes = Annotated[
    list[str] | None, typer.Option("--includes", help="A plan that this one includes; repeatable. Replaces the others.")
]
IncludesNothing = Annotated[bool, typer.Option("--includes-nothing", help="It includes no other plan.")]
IsPublic = Annotated[
    bool | None,
    typer.Option("--public/--by-invitation", help="Whether readers may give it themselves, or you (or a payment) do."),
]
UpgradeURL = Annotated[str | None, typer.Option("--upgrade-url", help="Where a reader gets it.")]
Fallback = Annotated[str | None, typer.Option(help="Plan of readers whose time on this one is over; '' the first one.")]
GraceDays = Annotated[int | None, typer.Option(help="Days after its last day for which a reader keeps it.")]
NoticeDays = Annotated[int | None, typer.Option(help="Days before its last day to tell the reader; 0: not at all.")]
Position = Annotated[int | None, typer.Option(help="Its place in the order of plans; the first is the default.")]


@app.command()
def add(
    code: Code,
    name: Name = None,
    includes: Includes = None,
    is_public: IsPublic = None,
    upgrade_url: UpgradeURL = None,
    fallback: Fallback = None,
    grace_days: GraceDays = None,
    notice_days: NoticeDays = None,
    position: Position = None,
    publication: PublicationCode = None,
) -> None:
    """Make a plan; the first one of a publication is its default, and public."""
    form = _form(locals())
    with open_service().database.writing() as session:
        found = publication_named(session, publication)
        add_plan(session, NewPlan(found.id, code))
        set_plan(session, found.id, code, form)
    say(f"Plan {code} is there.")


@app.command("set")
def set_(
    code: Code,
    name: Name = None,
    includes: Includes = None,
    includes_nothing: IncludesNothing = False,
    is_public: IsPublic = None,
    upgrade_url: UpgradeURL = None,
    fallback: Fallback = None,
    grace_days: GraceDays = None,
    notice_days: NoticeDays = None,
    position: Position = None,
    publication: PublicationCode = None,
) -> None:
    """Change what is named, and leave the rest."""
    if includes and includes_nothing:
        raise typer.BadParameter("say either --includes PLAN or --includes-nothing")
    form = _form(locals())
    if form == PlanForm():
        raise typer.BadParameter("say what to change, such as --name Pro; see --help")
    with open_service().database.writing() as session:
        set_plan(session, publication_named(session, publication).id, code, form)
    say(f"Plan {code} is changed.")


def _form(options: dict[str, Any]) -> PlanForm:
    """Gather what a command was told of a plan, by the names of the form's fields."""
    said = {field.name: options[field.name] for field in fields(PlanForm)}
    if options.get("includes_nothing"):
        said["includes"] = ()
    elif said["includes"]:
        said["includes"] = tuple(said["includes"])
    return PlanForm(**said)


@app.command("list")
def list_(publication: PublicationCode = None, as_json: AsJSON = False) -> None:
    """List the plans; the first is the default."""
    with open_service().database.reading() as session:
        rows = [asdict(plan) for plan in list_plans(session, publication_named(session, publication).id)]
    if as_json:
        print_json(rows)
        return
    shown = [
        row
        | {
            "includes": ", ".join(row["includes"]),
            "taken": "by readers" if row["is_public"] else "by invitation",
            "falls_back_to": row["fallback"] or rows[0]["code"],
        }
        for row in rows
    ]
    print_rows(shown, ("code", "name", "includes", "taken", "falls_back_to", "grace_days", "notice_days"))
