"""The local SendGrid as tests use it: running in threads of the test's process, with faults and its record at hand."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from newsletter.emulator.app import EmulatorSettings
from newsletter.emulator.serving import running
from newsletter.providers.sendgrid import SendGridProvider
from newsletter.providers.sendgrid_client import SendGridAccount


KEY = "SG.test"
TEMPLATES = Path(__file__).parent.parent / "templates" / "emulator"


@dataclass(frozen=True)
class LocalSendGrid:
    """A running local SendGrid."""

    url: str

    def provider(self, *, key: str = KEY, timeout: float = 10.0) -> SendGridProvider:
        """The real client, pointed here."""
        return SendGridProvider(SendGridAccount(self.url, SecretStr(key), timeout, direct=True))

    def fault(self, kind: str, **details: object) -> None:
        """Let the next requests end in a fault."""
        self.call("/_emulator/faults", {"kind": kind, **details})

    def mend(self) -> None:
        """Take every fault away."""
        self.call("/_emulator/faults", method="DELETE")

    def deliveries(self, *fields: str) -> list[dict[str, Any]]:
        """Read the record of what was delivered."""
        query = f"?fields={','.join(fields)}" if fields else ""
        return [json.loads(line) for line in self.call(f"/_emulator/deliveries{query}").splitlines()]

    def reached(self) -> list[str]:
        """List every address that was delivered to, as often as it was, in order of address."""
        return sorted(str(one["to"]) for one in self.deliveries("to"))

    def account(self, method: str, path: str, body: dict[str, object] | None = None) -> Any:
        """Call one of SendGrid's own paths with the key, and give what it answers."""
        read = self._request(method, path, body, KEY)
        return json.loads(read) if read else None

    def status(self, method: str, path: str, body: dict[str, object] | None = None, *, key: str = KEY) -> int:
        """Call a path that refuses, and give the status."""
        try:
            self._request(method, path, body, key)
        except urllib.error.HTTPError as error:
            return error.code
        return 200

    def _request(self, method: str, path: str, body: dict[str, object] | None, key: str) -> bytes:
        data = json.dumps(body).encode() if body is not None else None
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, data, headers, method=method)  # noqa: S310 - loopback
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - loopback
            read: bytes = answer.read()
        return read

    def call(self, path: str, body: dict[str, object] | None = None, *, method: str | None = None) -> bytes:
        """Call one of the emulator's own paths."""
        data = json.dumps(body).encode() if body is not None else None
        headers = {"Content-Type": "application/json"} if data else {}
        request = urllib.request.Request(self.url + path, data, headers, method=method)  # noqa: S310 - loopback
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - loopback
            read: bytes = answer.read()
        return read


@contextmanager
def local_sendgrid(folder: Path) -> Iterator[LocalSendGrid]:
    """Run a local SendGrid on a free port."""
    settings = EmulatorSettings(data_dir=folder, templates_dir=TEMPLATES, api_key=KEY)
    with running(settings, port=0) as url:
        yield LocalSendGrid(url)
