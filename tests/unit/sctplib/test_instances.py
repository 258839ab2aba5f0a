"""Instances: registering, clashes, defaults, unregistering."""

import pytest

from pysctplib.sctplib import (
    SCTP_InstanceParameters,
    SCTP_ulpCallbacks,
    sctp_abort,
    sctp_associate,
    sctp_deleteAssociation,
    sctp_getAssocDefaults,
    sctp_getInstancePort,
    sctp_registerInstance,
    sctp_setAssocDefaults,
    sctp_unregisterInstance,
)
from pysctplib.sctplib import constants as c

from .world import LOCAL, User, pair, pump

NONE = SCTP_ulpCallbacks()


def register(port=0, addresses=(LOCAL,), in_streams=10, out_streams=10):
    return sctp_registerInstance(port, in_streams, out_streams, addresses, NONE)


def test_names_count_from_one_and_ports_are_chosen(lib):
    first, second = register(), register()
    assert (first, second) == (1, 2)
    assert sctp_getInstancePort(first) != sctp_getInstancePort(second)
    assert sctp_getInstancePort(3) == c.SCTP_INSTANCE_NOT_FOUND


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"in_streams": 0}, c.SCTP_PARAMETER_PROBLEM),
        ({"out_streams": 0}, c.SCTP_PARAMETER_PROBLEM),
        ({"out_streams": 65536}, c.SCTP_PARAMETER_PROBLEM),
        ({"port": 65536}, c.SCTP_PARAMETER_PROBLEM),
        ({"port": -1}, c.SCTP_PARAMETER_PROBLEM),
        ({"addresses": ()}, c.SCTP_PARAMETER_PROBLEM),
        ({"addresses": ("localhost",)}, c.SCTP_PARAMETER_PROBLEM),
        ({"addresses": ("0.0.0.0", LOCAL)}, c.SCTP_PARAMETER_PROBLEM),
        ({"addresses": ("192.0.2.1",)}, c.SCTP_WRONG_ADDRESS),
    ],
)
def test_refused(lib, arguments, code):
    assert register(**arguments) == code


@pytest.mark.parametrize("addresses", [(LOCAL,), ("0.0.0.0",), ("::",)])
def test_a_clash_in_the_same_program_gives_zero(lib, addresses):
    port = sctp_getInstancePort(register())
    assert register(port, addresses) == 0


def test_one_port_is_one_instance_also_on_other_addresses(lib):
    port = sctp_getInstancePort(register())
    assert register(port, ("127.0.0.2",)) == c.SCTP_WRONG_ADDRESS


def test_defaults_are_read_and_written(lib):
    instance = register(in_streams=7, out_streams=9)
    code, params = sctp_getAssocDefaults(instance)
    assert code == c.SCTP_SUCCESS
    assert (params.noOfLocalAddresses, params.localAddressList) == (1, [LOCAL])
    assert (params.inStreams, params.outStreams, params.rtoInitial, params.rtoMax) == (7, 9, 1000, 60000)
    assert (params.validCookieLife, params.delay, params.maxInitRetransmits) == (60000, 200, 8)
    changed = SCTP_InstanceParameters(
        rtoInitial=500, rtoMin=250, rtoMax=2000, validCookieLife=5000, outStreams=3, inStreams=4,
        assocMaxRetransmits=6, pathMaxRetransmits=2, maxInitRetransmits=1, myRwnd=65536, delay=100,
        maxSendQueue=50, maxNumberOfAssociations=5, remoteUdpPort=1234, heartbeatIntervall=7000,
        noOfLocalAddresses=1, localAddressList=[LOCAL],
    )  # fmt: skip
    assert sctp_setAssocDefaults(instance, changed) == c.SCTP_SUCCESS
    assert sctp_getAssocDefaults(instance) == (c.SCTP_SUCCESS, changed)


@pytest.mark.parametrize(
    "values",
    [{"rtoMin": 0}, {"rtoMin": 5000}, {"delay": 501}, {"outStreams": 0}, {"maxSendQueue": -1}, {"myRwnd": "x"}],
)
def test_bad_defaults_change_nothing(lib, values):
    instance = register()
    _, params = sctp_getAssocDefaults(instance)
    for name, value in values.items():
        setattr(params, name, value)
    params.pathMaxRetransmits = 1
    assert sctp_setAssocDefaults(instance, params) == c.SCTP_PARAMETER_PROBLEM
    assert sctp_getAssocDefaults(instance)[1].pathMaxRetransmits == 5


def test_defaults_of_an_unknown_instance(lib):
    assert sctp_getAssocDefaults(1) == (c.SCTP_INSTANCE_NOT_FOUND, None)
    assert sctp_setAssocDefaults(1, SCTP_InstanceParameters()) == c.SCTP_INSTANCE_NOT_FOUND


def test_a_wildcard_instance_lists_the_addresses_of_the_host(lib):
    _, params = sctp_getAssocDefaults(register(addresses=("0.0.0.0",)))
    assert LOCAL in params.localAddressList
    assert params.noOfLocalAddresses == len(params.localAddressList)


def test_unregistering_waits_for_all_associations_to_be_deleted(lib):
    server, here, client, there = pair()
    assert sctp_unregisterInstance(client.instance) == c.SCTP_INSTANCE_IN_USE
    sctp_abort(there)
    pump(lambda: client.told("communicationLostNotif") and server.told("communicationLostNotif"))
    assert sctp_unregisterInstance(client.instance) == c.SCTP_INSTANCE_IN_USE
    assert sctp_deleteAssociation(there) == c.SCTP_SUCCESS
    assert sctp_unregisterInstance(client.instance) == c.SCTP_SUCCESS
    assert sctp_unregisterInstance(client.instance) == c.SCTP_INSTANCE_NOT_FOUND
    assert sctp_unregisterInstance(server.instance) == c.SCTP_INSTANCE_IN_USE


def test_a_port_can_be_had_again_after_unregistering(lib):
    instance = register()
    port = sctp_getInstancePort(instance)
    assert sctp_unregisterInstance(instance) == c.SCTP_SUCCESS
    assert register(port) > 0


def test_the_maximum_of_associations_is_kept(lib):
    server, client = User(maxNumberOfAssociations=1), User()
    pair(server, client)
    other = User()
    association = sctp_associate(other.instance, 1, LOCAL, server.port)
    pump(lambda: other.told("communicationLostNotif"))
    assert other.told("communicationLostNotif")[0][:2] == (association, c.SCTP_COMM_LOST_ABORTED)
    assert len(server.told("communicationUpNotif")) == 1
