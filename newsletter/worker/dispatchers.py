"""The dispatch threads: each claims a batch, submits it, and looks for the next until there is none."""

import threading
from dataclasses import dataclass, field

import structlog

from newsletter.delivery.dispatch import Desk, dispatch_next


log = structlog.get_logger(__name__)

#: After an error that is nobody's plan (the database away, say) a thread waits so long, in seconds.
BREATH = 1.0


@dataclass
class Dispatchers:
    """Threads that dispatch from one desk until they are stopped; a call under way is always finished first."""

    desk: Desk
    threads: int
    _wake: threading.Condition = field(default_factory=threading.Condition)
    _stopping: bool = False
    _running: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        """Start the threads."""
        for number in range(self.threads):
            thread = threading.Thread(target=self._run, name=f"dispatch-{number}", daemon=True)
            thread.start()
            self._running.append(thread)

    def wake(self) -> None:
        """Say that there may be something to dispatch."""
        with self._wake:
            self._wake.notify_all()

    def begin_no_more(self) -> None:
        """Begin no further call."""
        self._stopping = True
        self.wake()

    def stop(self) -> None:
        """Begin no further call, and wait for those under way."""
        self.begin_no_more()
        for thread in self._running:
            thread.join()

    def _run(self) -> None:
        while not self._stopping:
            try:
                found = dispatch_next(self.desk)
            except Exception:
                # The batch stays as the ledger has it; the sweep deals with it. The thread must live on.
                log.exception("dispatch failed")
                found = False
                threading.Event().wait(BREATH)
            if not found:
                self._rest()

    def _rest(self) -> None:
        with self._wake:
            if not self._stopping:
                self._wake.wait(timeout=BREATH)
