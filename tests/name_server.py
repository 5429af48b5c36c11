"""A name server on loopback that knows what a test tells it: real packets to a real resolver."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset


@dataclass
class NameServer:
    """Answers with its records; a name without any does not exist.

    Attributes:
        address: Where it listens, as ``--dns`` takes it.
        records: Lines of a zone file by (name, type).
        silent: Names that are never answered about.
        failing: Names about which it says that it failed.
    """

    address: str
    records: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    failing: set[str] = field(default_factory=set)

    def on(self, name: str, kind: str, *values: str) -> None:
        """Say what a name holds; texts are cut into the pieces that a record allows."""
        self.records[name, kind] = [_pieces(one) if kind == "TXT" else one for one in values]

    def answer(self, packet: bytes) -> bytes | None:
        """Answer one question, aliases followed."""
        query = dns.message.from_wire(packet)
        asked = query.question[0]
        name, kind = asked.name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(asked.rdtype)
        if name in self.silent:
            return None
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.RA
        if name in self.failing:
            reply.set_rcode(dns.rcode.SERVFAIL)
            return reply.to_wire()
        while alias := self.records.get((name, "CNAME")):
            reply.answer.append(dns.rrset.from_text(f"{name}.", 60, "IN", "CNAME", *alias))
            name = alias[0].strip(".")
        if found := self.records.get((name, kind)):
            reply.answer.append(dns.rrset.from_text(f"{name}.", 60, "IN", kind, *found))
        elif not any(name == known or known.endswith(f".{name}") for known, _ in self.records):
            reply.set_rcode(dns.rcode.NXDOMAIN)
        return reply.to_wire()


def _pieces(text: str) -> str:
    return " ".join(f'"{text[start : start + 200]}"' for start in range(0, len(text), 200))


@contextmanager
def name_server() -> Iterator[NameServer]:
    """Serve in a thread on a free port while the block lasts."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            packet, connection = self.request
            if (answer := server.answer(packet)) is not None:
                connection.sendto(answer, self.client_address)

    with socketserver.ThreadingUDPServer(("127.0.0.1", 0), Handler) as udp:
        server = NameServer(f"127.0.0.1:{udp.server_address[1]}")
        thread = threading.Thread(target=udp.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            udp.shutdown()
            thread.join()
