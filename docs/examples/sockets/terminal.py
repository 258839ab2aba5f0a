"""A terminal: lines from standard input are sent as messages, what comes is printed. Ends with the input."""

import socket
import sys
import threading

from common import open_socket, parser

from pysocketapi import SctpSocket


def print_all(sock: SctpSocket, expected: int | None) -> None:
    """Print what comes until the end, or until so many messages came."""
    try:
        while expected != 0 and (message := sock.recv_message()) is not None:
            sys.stdout.write(message.data.decode(errors="replace"))
            sys.stdout.flush()
            expected = None if expected is None else expected - 1
    except OSError as error:
        print(f"connection lost: {error}", file=sys.stderr)


def main() -> int:
    """Connect, then copy both ways."""
    words = parser(__doc__)
    words.add_argument("--stream", type=int, default=0)
    words.add_argument("--wait-for", type=int, help="messages to wait for after the end of the input")
    words.add_argument("host")
    words.add_argument("port", type=int)
    options = words.parse_args()
    with open_socket(options, options.host, socket.SOCK_STREAM) as sock:
        sock.settimeout(30)
        try:
            sock.connect((options.host, options.port))
        except OSError as error:
            print(f"cannot connect to {options.host}:{options.port}: {error}", file=sys.stderr)
            return 1
        sock.settimeout(None)
        printer = threading.Thread(target=print_all, args=(sock, options.wait_for), daemon=True)
        printer.start()
        try:
            for line in sys.stdin:
                sock.send_message(line.encode(), stream=options.stream)
            if options.wait_for is not None:
                printer.join()
            sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            print(f"cannot send: {error}", file=sys.stderr)
            return 1
        printer.join()
    return 0


if __name__ == "__main__":
    sys.exit(main())
