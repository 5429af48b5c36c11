"""Level: both sides hold back the same addresses, without anybody's word. After ``pulling``; every night by the clock.

Where the provider refuses it, the operators hear why, once a night until it is mended.
"""

from collections.abc import Callable

import structlog

from newsletter.database import Database
from newsletter.feedback.applying import Scene
from newsletter.feedback.problems import refused_removals
from newsletter.feedback.pulling import Stopping, pull
from newsletter.feedback.telling import tell_of_lists
from newsletter.providers.sendgrid_account import AccountAPI, AccountRefused


log = structlog.get_logger(__name__)


def keep_level(
    database: Database, api: AccountAPI, scene: Scene, is_stopping: Callable[[], bool] = lambda: False
) -> None:
    """Read the provider's lists, and tell where they cannot be read or addresses cannot be taken off them.

    Where the machine stops it ends with the page under way; the next time goes on behind it.
    """
    try:
        for one in pull(database, api, scene, on_page=int, is_stopping=is_stopping):
            log.info("a list of the provider was read", list=one.list_name, entries=one.entries, news=one.news)
    except Stopping:
        log.info("reading the provider's lists was left for the next time: the machine stops")
        return
    except AccountRefused as refusal:
        log.warning("the provider's lists could not be read", why=str(refusal))
        with database.writing() as session:
            tell_of_lists(session, "reading the lists", str(refusal), scene)
    with database.writing() as session:
        if why := refused_removals(session):
            tell_of_lists(session, "taking addresses off the lists", why, scene)
