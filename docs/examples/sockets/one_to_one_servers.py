"""Echo, discard, daytime and chargen in one process: one-to-one sockets, not blocking, with `selectors`."""

import selectors
import socket
import sys
from collections.abc import Callable

from common import open_socket, parser
from services import SERVICES

from pysocketapi import SctpSocket


def serve_client(sock: SctpSocket, answer: Callable[[bytes], bytes], selector: selectors.BaseSelector) -> None:
    """Answer what is there; forget the client when it is gone."""
    try:
        while (message := sock.recv_message()) is not None:
            reply = answer(message.data)
            if reply:
                sock.send_message(reply, stream=message.stream, ppid=message.ppid)
    except BlockingIOError:
        return
    except OSError as error:
        print(f"client lost: {error}", file=sys.stderr)
    selector.unregister(sock)
    sock.close()


def main() -> None:
    """Serve until interrupted."""
    words = parser(__doc__)
    words.add_argument("--host", default="127.0.0.1")
    words.add_argument("--base-port", type=int, default=7)
    options = words.parse_args()
    selector = selectors.DefaultSelector()
    for offset, answer in SERVICES.items():
        listener = open_socket(options, options.host, socket.SOCK_STREAM)
        listener.bind((options.host, options.base_port + offset))
        listener.listen()
        listener.setblocking(False)
        selector.register(listener, selectors.EVENT_READ, (None, answer))
    print("ready", flush=True)
    while True:
        for key, _ in selector.select():
            client, answer = key.data
            if client is not None:
                serve_client(client, answer, selector)
                continue
            client, address = key.fileobj.accept()  # type: ignore[union-attr]
            print("client", *address, flush=True)
            client.setblocking(False)
            selector.register(client, selectors.EVENT_READ, (client, answer))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
