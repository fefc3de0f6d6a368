"""A proxy that kills connections after so many bytes, as bad lines do."""

import contextlib
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

BLOCK = 1 << 16


@dataclass
class Line:
    """What has gone through towards the server, and where it is cut."""

    target: int
    cuts: list[int]
    sent: int = 0
    cut_at: list[int] = field(default_factory=list)
    port: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def carry(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self.target)) as server:
            back = threading.Thread(target=self._back, args=(server, client), daemon=True)
            back.start()
            with contextlib.suppress(OSError):
                while block := client.recv(BLOCK):
                    server.sendall(block)
                    if self._counts_as_cut(len(block)):
                        for end in (client, server):
                            end.shutdown(socket.SHUT_RDWR)
                        return
                server.shutdown(socket.SHUT_WR)
                back.join(60)

    def _counts_as_cut(self, size: int) -> bool:
        with self.lock:
            self.sent += size
            if self.cuts and self.sent >= self.cuts[0]:
                self.cut_at.append(self.cuts.pop(0))
                return True
            return False

    @staticmethod
    def _back(server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while block := server.recv(BLOCK):
                client.sendall(block)
            client.shutdown(socket.SHUT_WR)


@contextmanager
def cutting_line(target: int, *, cuts: Sequence[int]) -> Iterator[Line]:
    """Carry connections to the port ``target``; kill the one that sends the n-th byte of a cut."""
    line = Line(target, sorted(cuts))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        line.port = listener.getsockname()[1]

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    client, _address = listener.accept()
                    threading.Thread(target=line.carry, args=(client,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield line
