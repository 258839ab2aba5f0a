"""What pool user programs do at failovers, without network."""

import asyncio
import io
from types import SimpleNamespace

from rserpool_apps.logs import Output
from rserpool_apps.options import Values
from rserpool_apps.poolusers import FailoverKeeper

from rserpool.session import Failover
from rserpool.session.events import COMPLETE, NECESSARY


class Session:
    has_cookie, failovers = False, 0

    def __init__(self, identifier):
        self.identifier = identifier
        self.forced = 0

    async def force_failover(self, unreachable=False):
        self.forced += 1


def said(session, *events):
    out = Output(io.StringIO())
    values = Values(poolhandle="P", registrar=[], asapannounce="auto")
    keeper = FailoverKeeper(
        session, SimpleNamespace(registrar=object()), values, out, lambda n: f"FAILOVER #{n} ..."
    )

    async def main():
        for event in events:
            await keeper.handle(event)

    asyncio.run(main())
    return out.stream.getvalue().splitlines()


def test_the_first_failover_is_told_also_without_a_cookie():
    session = Session(0x12345678)
    lines = said(session, Failover(NECESSARY, False, 0x12345678), Failover(COMPLETE, False, 0x9ABCDEF0))
    assert "FAILOVER #1 ..." in lines
    assert session.forced == 1


def test_the_search_for_the_first_server_is_no_failover():
    session = Session(0)
    assert said(session, Failover(NECESSARY, False, 0)) == []
    assert session.forced == 1
