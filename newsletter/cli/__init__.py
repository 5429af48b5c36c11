"""The command line: one module a group of commands. The top floor; errors end here as a sentence and an exit code.

Exit codes: 0 done, 1 refused with the reason, 2 the words of the call are off.
"""

import sys
from functools import cache
from importlib import import_module
from typing import Any, cast

import typer
from sqlalchemy.exc import SQLAlchemyError
from typer.core import TyperGroup

from newsletter.cli.console import complain
from newsletter.composition import configure_logging
from newsletter.emulator.errors import EmulatorError
from newsletter.errors import NewsletterError
from subscribers.errors import SubscribersError


#: Where each command is, or each group of them, by module and name. Only what is called is loaded: all of it takes a
#: third as long again.
_COMMANDS = {
    "demo": "demo:demo",
    "report": "reports:report",
    "init": "serving:init",
    "serve": "serving:serve",
    "emulator": "serving:emulator",
    "backup": "backup:backup",
    "restore": "backup:restore",
    "move": "backup:move",
    "publication": "publication:app",
    "plans": "plans:app",
    "issue": "issue:app",
    "slots": "slots:app",
    "mailing": "mailing:app",
    "subscribers": "readers:app",
    "suppressions": "suppressions:app",
    "notices": "notices:app",
    "feedback": "feedback:app",
    "alerts": "alerts:app",
    "doctor": "doctor:app",
}
#: What belongs to a group, and is in a module of its own.
_OF_A_GROUP = {
    "publication": {"snippet": "snippet:snippet"},
    "issue": {"ready": "approving:ready"},
    "mailing": {
        "rehearse": "rehearsing:rehearse",
        "show": "mailing_show:show",
        "unschedule": "mailing_life:unschedule",
        "pause": "mailing_life:pause",
        "cancel": "mailing_life:cancel",
        "go": "mailing_life:go",
        "settle": "settling:settle_",
    },
    "subscribers": {
        "find": "finding:find",
        "consent": "rights:consent",
        "export-person": "rights:export_person",
        "erase": "rights:erase",
        "set-plan": "reader_plans:set_plan",
        "tag": "tags:tag_readers",
        "set": "tags:set_attributes",
        "attributes": "tags:attributes",
        "import": "importing:import_",
        "export": "importing:export",
    },
}


class _Commands(TyperGroup):
    """The commands, each loaded when somebody asks for it."""

    def __init__(self, **said: Any) -> None:
        super().__init__(**said)
        # Their names, for the list and for suggestions.
        self.commands = cast("Any", dict.fromkeys(_COMMANDS))

    def get_command(self, _: object, name: str) -> Any:
        """Load a command, or nothing where there is none of this name."""
        return _loaded(name) if name in _COMMANDS else None


@cache
def _loaded(name: str) -> Any:
    found, holder = _at(_COMMANDS[name]), typer.Typer()
    for own, where in _OF_A_GROUP.get(name, {}).items():
        _put(found, own, _at(where))
    _put(holder, name, found)
    return typer.main.get_group(holder).commands[name]


def _at(where: str) -> Any:
    module, name = where.split(":")
    return getattr(import_module(f"newsletter.cli.{module}"), name)


def _put(group: typer.Typer, name: str, what: Any) -> None:
    if isinstance(what, typer.Typer):
        group.add_typer(what, name=name)
    else:
        group.command(name)(what)


app = typer.Typer(
    name="newsletter",
    cls=_Commands,
    help="A self-hosted email newsletter delivery service.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def _nothing() -> None:
    """Have a group of commands made, though Typer itself knows none."""


def main() -> None:
    """Run a command; end with exit code 1 and the reason where it is refused."""
    configure_logging()
    try:
        app()
    except (NewsletterError, SubscribersError, EmulatorError) as error:
        complain(str(error))
        sys.exit(1)
    except SQLAlchemyError as error:
        complain(f"the database did not do what was asked: {getattr(error, 'orig', None) or type(error).__name__}")
        sys.exit(1)
    except BrokenPipeError:
        # Whoever read our output has closed it (`| head`): nothing is wrong.
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:
        complain(f"{error.filename or 'a file or port'}: {error.strerror or error}")
        sys.exit(1)
    except UnicodeDecodeError:
        complain("the file .env is not UTF-8: save it as UTF-8")
        sys.exit(1)
