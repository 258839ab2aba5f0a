"""The order in which registrars select, the original's and ours, given the same registrations and resolutions.

    python -m tests.interop.sequences        in the lab's guest (test_matrix.py runs it there)

Prints each policy's sequences; the status is the number of policies that differ. Random policies have no sequence;
their statistics are tested elsewhere.
"""

import asyncio
import os
import sys

from pysocketapi.aio import Message, open_endpoint
from rserpool.handlespace import policies as p
from rserpool.wire import asap
from rserpool.wire.types import SCTP, Policy, PoolElement, Transport

from .matrix import ORIGINAL, OURS, Program, command

ADDRESS = "10.255.255.1"  # the original refuses loopback
FULL = 0xFFFFFFFF


def part(x):
    return round(x * FULL)


def degrading(kind, *pairs, **more):
    return [Policy(kind, load=part(a), load_degradation=part(b), **more) for a, b in pairs]


# Name -> policies of elements 1, 2, ...
POOLS = {
    "RoundRobin": [Policy(p.ROUND_ROBIN)] * 4,
    "WeightedRoundRobin 1 2 3": [Policy(p.WEIGHTED_ROUND_ROBIN, weight=w) for w in (1, 2, 3)],
    "WeightedRoundRobin 5 1 4": [Policy(p.WEIGHTED_ROUND_ROBIN, weight=w) for w in (5, 1, 4)],
    "Priority": [Policy(p.PRIORITY, priority=w) for w in (3, 9, 9, 1)],
    "LeastUsed": [Policy(p.LEAST_USED, load=part(x)) for x in (0.5, 0.25, 0.25, 0.0)],
    "LeastUsedDegradation": degrading(p.LEAST_USED_DEGRADATION, (0, 1 / 16), (0, 1 / 8), (0.3, 1 / 32)),
    "PriorityLeastUsed": degrading(p.PRIORITY_LEAST_USED, (0.1, 0.2), (0.2, 0.05), (0.2, 0.05)),
    "PriorityLeastUsedDegradation": degrading(
        p.PRIORITY_LEAST_USED_DEGRADATION, (0, 1 / 16), (0, 1 / 8), (0.2, 0)
    ),
    "LeastUsedDPF": [Policy(p.LEAST_USED_DPF, load=part(x), load_dpf=5) for x in (0.5, 0.25, 0.25)],
    "LeastUsedDegradationDPF": degrading(p.LEAST_USED_DEGRADATION_DPF, (0, 1 / 16), (0, 1 / 8), load_dpf=5),
}
# What is done: items of a resolution, "=" re-registers element 1 unchanged, "+" re-registers element 2 with the
# values of element 1, "-" deregisters the last one, "<" registers it again.
SCRIPTS = ("1" * 24, "3333333311113333", "1111=1111=11111", "1111+1111+1111", "1313-1313<1313131")


class Client:
    """Registers and resolves at one registrar."""

    def __init__(self, endpoint, association):
        self.endpoint, self.association = endpoint, association

    async def call(self, message):
        await self.endpoint.send(asap.encode(message), self.association, ppid=asap.PPID)
        async with asyncio.timeout(20):
            while True:
                item = await self.endpoint.recv()
                if isinstance(item, Message) and item.assoc_id == self.association:
                    answer = asap.decode(item.data)
                    if not isinstance(answer, asap.EndpointKeepAlive):
                        return answer
                    ack = asap.EndpointKeepAliveAck(answer.handle, answer.identifier)
                    await self.endpoint.send(asap.encode(ack), self.association, ppid=asap.PPID)

    async def register(self, handle, identifier, policy):
        where = Transport(SCTP, 5000, (ADDRESS,), True)
        answer = await self.call(asap.Registration(handle, PoolElement(identifier, 0, 600_000, where, policy)))
        assert not answer.reject, answer

    async def play(self, handle, values, script):
        """Carry a script out; the answers."""
        for at, policy in enumerate(values, 1):
            await self.register(handle, at, policy)
        heard = []
        last = len(values)
        for step in script:
            if step == "=":
                await self.register(handle, 1, values[0])
            elif step == "+":
                await self.register(handle, 2, values[0])
            elif step == "-":
                await self.call(asap.Deregistration(handle, last))
            elif step == "<":
                await self.register(handle, last, values[-1])
            else:
                answer = await self.call(asap.HandleResolution(handle, int(step)))
                heard.append("".join(str(e.identifier) for e in answer.elements))
        return heard


async def compare():
    options = [f"-asap={ADDRESS}:0", "-asapannounce=off", "-enrpannounce=off", "-loglevel=1"]
    programs, clients = [], {}
    differing = 0
    endpoint = {}
    try:
        for who in (ORIGINAL, OURS):
            program = Program(f"registrar {who}", command(who, "rspregistrar", *options))
            programs.append(program)
            port = int(program.expect(r"^ASAP Address: *\{.*\} (\d+)/SCTP").group(1))
            program.expect(r"^ENRP Address")
            endpoint[who] = await open_endpoint(ADDRESS, 0, transport="kernel")
            association = await endpoint[who].connect(ADDRESS, port, timeout=20)
            clients[who] = Client(endpoint[who], association)
        for number, (name, values) in enumerate(POOLS.items()):
            same = True
            for at, script in enumerate(SCRIPTS):
                handle = b"P%d.%d" % (number, at)
                theirs = await clients[ORIGINAL].play(handle, values, script)
                ours = await clients[OURS].play(handle, values, script)
                if theirs != ours:
                    same = False
                    print(f"{name}, {script}:\n  original {' '.join(theirs)}\n  ours     {' '.join(ours)}")
            print(f"{'same  ' if same else 'DIFFER'} {name}", flush=True)
            differing += not same
    finally:
        for e in endpoint.values():
            await e.close()
        for program in programs:
            program.end()
    print(f"{len(POOLS)} policies, {differing} differ")
    return differing


if __name__ == "__main__":
    os.environ["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"
    sys.exit(asyncio.run(compare()))
