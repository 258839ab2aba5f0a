"""A Ping Pong pool element on RSPLIB's functions: a thread for each session, its state in cookies."""

from __future__ import annotations

import signal
import sys
import threading

from pysocketapi import Transport
from rserpool.api import *  # noqa: F403 - as a C program includes rserpool.h
from rserpool.errors import RSerPoolError
from rserpool.services import pingpong
from rserpool.wire.types import DecodeError

# ruff: noqa: F405


def serve(sd: int, failure_after: int) -> None:
    """Answer one pool user."""
    reply, served = 1, 0
    while True:
        data, info, flags = rsp_recvfullmsg(sd, 65536, -1)
        if not data:
            break
        try:
            if flags & MSG_RSERPOOL_COOKIE_ECHO:
                reply = pingpong.decode_cookie(data)
                continue
            ping = pingpong.decode(data)
        except DecodeError as error:
            print(f"bad message: {error}", flush=True)
            break
        pong = pingpong.encode(pingpong.Pong(ping.number, reply, ping.data))
        reply, served = reply + 1, served + 1
        try:
            rsp_sendmsg(sd, pong, ppid=pingpong.PPID)
            rsp_send_cookie(sd, pingpong.encode_cookie(reply))
        except OSError:
            break
        if failure_after and served == failure_after:
            print(f"failing after {served} replies", flush=True)
            rsp_sendmsg(sd, b"", sctp_flags=4)  # SCTP_ABORT
            break
    rsp_close(sd)


def main(arguments: list[str]) -> int:
    """Run until interrupted."""
    failure_after = 0
    info = rsp_initinfo()
    for argument in arguments:
        name, _, value = argument.partition("=")
        if name == "--udp-port":
            info.ri_transport = Transport("userland", udp_port=int(value))
        elif name == "--failure-after":
            failure_after = int(value)
        elif not rsp_initarg(info, argument):
            print(f"Bad argument {argument!r}", file=sys.stderr)
            return 1
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    rsp_initialize(info)
    sd = rsp_socket(0, 1, 132)  # SOCK_STREAM, IPPROTO_SCTP
    try:
        rsp_bind(sd)
        rsp_listen(sd, 10)
        rsp_register(sd, b"PingPongPool", rsp_loadinfo(rsp_getpolicybyname("RoundRobin")), 30000, 0)
        handle, identifier = rsp_getsockname(sd)
        print(f"registered {handle.decode()} ${identifier:08x}", flush=True)
        while True:
            try:
                session = rsp_accept(sd, 500)
            except TimeoutError:
                continue
            threading.Thread(target=serve, args=(session, failure_after), daemon=True).start()
    except KeyboardInterrupt:
        rsp_deregister(sd)
    except (RSerPoolError, OSError) as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 1
    finally:
        rsp_close(sd)
        rsp_cleanup()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
