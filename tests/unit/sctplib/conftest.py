"""The library, initialised on a UDP port of its own, and peers beside it."""

import pytest

from pysctplib.sctplib import StackConfig, sctp_closeLibrary, sctp_initLibrary

from .world import Peer, User, pump


@pytest.fixture
def lib():
    assert sctp_initLibrary(StackConfig(udp_port=0)) == 0
    yield
    sctp_closeLibrary()


@pytest.fixture
def make_peer():
    peers = []

    def make(**options):
        peers.append(Peer(**options))
        return peers[-1]

    yield make
    for peer in peers:
        peer.close()


@pytest.fixture
def with_peer(lib, make_peer):
    """(user, its association, peer): an established association with a peer that can be left silent."""
    peer = make_peer()
    user = User(remoteUdpPort=peer.udp_port, rtoInitial=20, rtoMin=10, rtoMax=40, assocMaxRetransmits=3)
    association = user.connect(peer.port)
    pump(lambda: user.told("communicationUpNotif") and peer.endpoint.associations, peer=peer)
    return user, association, peer
