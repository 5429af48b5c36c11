"""The command line: one module a group of commands. The top floor; errors end here as a sentence and an exit code.

Exit codes: 0 done, 1 refused with the reason, 2 the words of the call are off.
"""

import sys

import typer
from sqlalchemy.exc import SQLAlchemyError

from newsletter.cli import (
    alerts,
    backup,
    doctor,
    feedback,
    finding,
    importing,
    issue,
    mailing,
    mailing_life,
    mailing_show,
    notices,
    plans,
    publication,
    reader_plans,
    readers,
    rights,
    serving,
    settling,
    slots,
    suppressions,
    tags,
)
from newsletter.cli.approving import ready
from newsletter.cli.console import complain
from newsletter.cli.demo import demo
from newsletter.cli.rehearsing import rehearse
from newsletter.cli.reports import report
from newsletter.cli.snippet import snippet
from newsletter.composition import configure_logging
from newsletter.emulator.errors import EmulatorError
from newsletter.errors import NewsletterError
from subscribers.errors import SubscribersError


app = typer.Typer(
    name="newsletter",
    help="A self-hosted email newsletter delivery service.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(demo)
app.command()(report)
app.command()(serving.init)
app.command()(serving.serve)
app.command()(serving.emulator)
app.command()(backup.backup)
app.command()(backup.restore)
app.command()(backup.move)
publication.app.command()(snippet)
issue.app.command()(ready)
mailing.app.command()(rehearse)
for command in (finding.find, rights.consent, rights.export_person, rights.erase):
    readers.app.command()(command)
mailing.app.command()(mailing_show.show)
mailing.app.command()(mailing_life.unschedule)
mailing.app.command()(mailing_life.pause)
mailing.app.command()(mailing_life.cancel)
mailing.app.command()(mailing_life.go)
app.add_typer(publication.app, name="publication")
app.add_typer(plans.app, name="plans")
app.add_typer(issue.app, name="issue")
mailing.app.command("settle")(settling.settle_)
app.add_typer(slots.app, name="slots")
app.add_typer(mailing.app, name="mailing")
readers.app.command("set-plan")(reader_plans.set_plan)
readers.app.command("tag")(tags.tag_readers)
readers.app.command("set")(tags.set_attributes)
readers.app.add_typer(tags.attributes, name="attributes")
readers.app.command("import")(importing.import_)
readers.app.command("export")(importing.export)
app.add_typer(readers.app, name="subscribers")
app.add_typer(suppressions.app, name="suppressions")
app.add_typer(notices.app, name="notices")
app.add_typer(feedback.app, name="feedback")
app.add_typer(alerts.app, name="alerts")
app.add_typer(doctor.app, name="doctor")


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
