"""Records for tests of the handlespace."""

from rserpool.wire.types import SCTP, Policy, PoolElement, Transport

LIFE = 90_000


def record(identifier, policy=Policy(1), home=0xAA, life=LIFE, protocol=SCTP, control=True, address="10.1.1.5"):
    return PoolElement(
        identifier,
        home,
        life,
        Transport(protocol, 5000, (address,), control),
        policy,
        Transport(SCTP, 6000, (address,)),
    )
