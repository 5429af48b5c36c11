"""What a backup says of itself; its first file. Pure. It names keys by their ids and holds none of them."""

from collections.abc import Collection, Mapping
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from newsletter.errors import Refused


#: Raised where a change would let older versions misread a backup.
FORMAT = 1


class Manifest(BaseModel):
    """Everything that must be known of a backup before it is restored."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    #: A line of the journal carries it: what stands behind that line is not in the backup.
    id: str
    taken_at: datetime
    #: The machine it was taken on, by a keyed hash of its id.
    machine: str
    #: sqlite or postgresql.
    database: str
    #: The migration that the store was at.
    revision: str
    live: bool
    #: Whether the old host retired with it.
    handover: bool
    #: The rows of each table.
    counts: Mapping[str, int]
    #: The ids of the peppers and link keys without which it is of no use.
    peppers: tuple[str, ...]
    link_keys: tuple[str, ...]
    #: The SHA-256 of each further file in it, by name.
    files: Mapping[str, str]


def require_keys(manifest: Manifest, *, peppers: Collection[str], link_keys: Collection[str]) -> None:
    """Refuse a backup whose keys are not at hand.

    Raises:
        Refused: The sentence names the ids of those that are missing.
    """
    wanted = {
        "NEWSLETTER_ADDRESS_PEPPER (or the file `pepper`)": set(manifest.peppers) - set(peppers),
        "NEWSLETTER_LINK_KEY (or the file `link-key`)": set(manifest.link_keys) - set(link_keys),
    }
    if missing := [f"{where} with the id {', '.join(sorted(ids))}" for where, ids in wanted.items() if ids]:
        raise Refused(
            f"the backup needs keys that are not here: {' and '.join(missing)}. Bring them back from where you keep "
            "them; without them suppressed addresses would be mailed again, and links in mails would be dead"
        )
