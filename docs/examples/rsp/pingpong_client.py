"""A Ping Pong pool user on RSPLIB's functions: one thread, rsp_poll, forced failovers."""

from __future__ import annotations

import select
import sys
import time

from pysocketapi import Transport
from rserpool.api import *  # noqa: F403 - as a C program includes rserpool.h
from rserpool.errors import RSerPoolError
from rserpool.services import pingpong

# ruff: noqa: F405


def ping(sd: int, number: int) -> None:
    """Send one; a lost association is noticed by the next receive."""
    text = f"Message #{number}, {time.time():.3f}".encode()
    try:
        rsp_sendmsg(sd, pingpong.encode(pingpong.Ping(number, text)), ppid=pingpong.PPID, timeout=0)
    except OSError as error:
        print(f"cannot send: {error}", flush=True)


def received(sd: int, last: int) -> int:
    """Take what is there; return the number of the last reply."""
    data, info, flags = rsp_recvfullmsg(sd, 65536, 0)
    if flags & MSG_RSERPOOL_NOTIFICATION:
        rsp_print_notification(data, sys.stdout)
        print(flush=True)
        if data.rn_type == RSERPOOL_FAILOVER and data.rf_state == RSERPOOL_FAILOVER_NECESSARY:
            try:
                rsp_forcefailover(sd, FFF_NONE, 0)
            except OSError as error:
                print(f"no other pool element yet: {error}", flush=True)
        return last
    pong = pingpong.decode(data)
    gap = "" if pong.reply == last + 1 else f", expected {last + 1}"
    print(f"Ack #{pong.number} from PE ${info.rinfo_pe_id:08x} (reply #{pong.reply}{gap})", flush=True)
    return pong.reply


def main(arguments: list[str]) -> int:
    """Send pings until so many are answered as asked for."""
    interval, count = 0.1, 0
    info = rsp_initinfo()
    for argument in arguments:
        name, _, value = argument.partition("=")
        if name == "--udp-port":
            info.ri_transport = Transport("userland", udp_port=int(value))
        elif name == "--count":
            count = int(value)
        elif not rsp_initarg(info, argument):
            print(f"Bad argument {argument!r}", file=sys.stderr)
            return 1
    rsp_initialize(info)
    sd = rsp_socket(0, 5, 132)  # SOCK_SEQPACKET, IPPROTO_SCTP
    try:
        try:
            rsp_connect(sd, b"PingPongPool", 0)
        except (RSerPoolError, OSError) as error:
            print(f"not connected yet: {error}", flush=True)
        number = last = 0
        due = time.monotonic()
        while not count or last < count:
            now = time.monotonic()
            if now >= due:
                number += 1
                ping(sd, number)
                due = now + interval
            if rsp_poll([(sd, select.POLLIN)], max(0, round((due - now) * 1000))):
                last = received(sd, last)
    except KeyboardInterrupt:
        pass
    finally:
        rsp_close(sd)
        rsp_cleanup()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
