"""A throughput tool in the manner of tsctp: without a host it serves, with one it sends for some time."""

import socket
import sys
import time

from common import open_socket, parser

from pysocketapi import constants as c


def report(role: str, messages: int, size: int, seconds: float) -> None:
    """Print a line of numbers."""
    rate = messages * size / seconds / 1e6 if seconds else 0.0
    print(
        f"{role}: {messages} messages of {size} bytes in {seconds:.3f} s: "
        f"{messages / seconds if seconds else 0:.0f} messages/s, {rate:.2f} MB/s",
        flush=True,
    )


def serve(options) -> None:
    """Take connections one after the other, and say what came how fast."""
    listener = open_socket(options, options.local, socket.SOCK_STREAM)
    listener.bind((options.local, options.port))
    listener.listen()
    print("ready", flush=True)
    while True:
        sock, _ = listener.accept()
        count = total = 0
        began = time.monotonic()
        try:
            while (message := sock.recv_message()) is not None:
                count += 1
                total += len(message.data)
        except OSError as error:
            print(f"lost: {error}", flush=True)
        report("received", count, total // count if count else 0, time.monotonic() - began)
        sock.close()
        if options.once:
            listener.close()
            return


def send(options) -> None:
    """Send messages of one size for some seconds, or so many of them."""
    sock = open_socket(options, options.host, socket.SOCK_STREAM)
    sock.setsockopt(c.IPPROTO_SCTP, c.SCTP_NODELAY, options.nodelay)
    sock.connect((options.host, options.port))
    data = bytes(options.length)
    flags = c.SCTP_UNORDERED if options.unordered else 0
    began = time.monotonic()
    end = began + options.time
    count = 0
    while count < options.number if options.number else time.monotonic() < end:
        sock.send_message(data, flags=flags) if flags else sock.send(data)
        count += 1
    sock.shutdown(socket.SHUT_WR)
    while sock.recv(1024):
        pass
    report("sent", count, options.length, time.monotonic() - began)
    sock.close()


def main() -> None:
    """Read the options, then do one or the other."""
    words = parser(__doc__)
    words.add_argument("-l", "--length", type=int, default=1024, help="bytes of a message")
    words.add_argument("-n", "--number", type=int, default=0, help="messages to send; 0: by time")
    words.add_argument("-T", "--time", type=float, default=10.0, help="seconds to send")
    words.add_argument("-p", "--port", type=int, default=5001)
    words.add_argument("-L", "--local", default="127.0.0.1", help="the server's address")
    words.add_argument("-D", "--nodelay", action="store_true")
    words.add_argument("-u", "--unordered", action="store_true")
    words.add_argument("-1", "--once", action="store_true", help="the server ends after one client")
    words.add_argument("host", nargs="?")
    options = words.parse_args()
    if options.host is None:
        serve(options)
    else:
        send(options)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
