"""The dispatch threads: each claims a batch or a notice, submits it, and looks for the next until there is none."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog


log = structlog.get_logger(__name__)

#: After an error that is nobody's plan (the database away, say) a thread waits so long, in seconds.
BREATH = 1.0
#: Notices have threads of their own, so that a confirmation leaves at once also while a large mailing runs; two, so
#: that one call whose answer does not come keeps no other waiting.
NOTICE_THREADS = 2


@dataclass
class Dispatchers:
    """Threads that dispatch one thing after the other until they are stopped; a call under way is finished first.

    Attributes:
        dispatch_next: Dispatches one thing, and tells whether there was one.
        name: What the threads are called.
    """

    dispatch_next: Callable[[], bool]
    threads: int
    name: str
    _wake: threading.Condition = field(default_factory=threading.Condition)
    _stopping: bool = False
    _running: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        """Start the threads."""
        for number in range(self.threads):
            thread = threading.Thread(target=self._run, name=f"{self.name}-{number}", daemon=True)
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

    def stop(self, *, until: float) -> int:
        """Begin no further call, and wait for those under way; tell how many threads are still at work.

        Args:
            until: The moment on ``time.monotonic`` after which nobody waits. The threads end with the process.
        """
        self.begin_no_more()
        for thread in self._running:
            thread.join(max(until - time.monotonic(), 0))
        return sum(thread.is_alive() for thread in self._running)

    def _run(self) -> None:
        while not self._stopping:
            try:
                found = self.dispatch_next()
            except Exception:
                # What was claimed stays as the ledger has it; the sweep deals with it. The thread must live on.
                log.exception("dispatch failed", thread=threading.current_thread().name)
                found = False
                threading.Event().wait(BREATH)
            if not found:
                self._rest()

    def _rest(self) -> None:
        with self._wake:
            if not self._stopping:
                self._wake.wait(timeout=BREATH)
