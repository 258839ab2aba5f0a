"""Echo, discard, daytime and chargen in one process: one-to-many sockets, a thread for each, notifications."""

import socket
import threading
from collections.abc import Callable

from common import open_socket, parser
from services import SERVICES

from pysocketapi import SctpSocket
from pysocketapi import constants as c
from pysocketapi.message import Message
from pysocketapi.notifications import AssocChange

STATES = {
    c.SCTP_COMM_UP: "up",
    c.SCTP_COMM_LOST: "lost",
    c.SCTP_RESTART: "restarted",
    c.SCTP_SHUTDOWN_COMP: "ended",
    c.SCTP_CANT_STR_ASSOC: "not started",
}


def serve(sock: SctpSocket, answer: Callable[[bytes], bytes]) -> None:
    """Answer messages of all associations, tell of their beginnings and ends."""
    while True:
        item = sock.recv_message()
        if isinstance(item, AssocChange):
            print("association", item.assoc_id, STATES[item.state], flush=True)
        elif isinstance(item, Message):
            reply = answer(item.data)
            if reply:
                try:
                    sock.send_message(reply, stream=item.stream, ppid=item.ppid, assoc_id=item.assoc_id)
                except OSError as error:
                    print("association", item.assoc_id, error, flush=True)


def main() -> None:
    """Serve until interrupted."""
    words = parser(__doc__)
    words.add_argument("--host", default="127.0.0.1")
    words.add_argument("--base-port", type=int, default=7)
    options = words.parse_args()
    threads = []
    for offset, answer in SERVICES.items():
        sock = open_socket(options, options.host, socket.SOCK_SEQPACKET)
        sock.bind((options.host, options.base_port + offset))
        sock.subscribe(c.SCTP_ASSOC_CHANGE)
        sock.listen()
        threads.append(threading.Thread(target=serve, args=(sock, answer), daemon=True))
    for thread in threads:
        thread.start()
    print("ready", flush=True)
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
