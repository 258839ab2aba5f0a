"""The library's options: each in the table works, with what RSPLIB writes and what people write."""

import pytest

from rserpool import options
from rserpool.settings import Settings, StaticRegistrar
from rserpool.wire import policies
from rserpool.wire.types import Policy


def taken(*arguments):
    settings = Settings()
    for argument in arguments:
        assert options.take(settings, argument)
    settings.validate()
    return settings


def test_registrars():
    s = taken("-registrar=10.0.0.1:3863,10.0.1.1", "--registrar=[2001:db8::1]:4000/9900")
    assert s.registrars == [
        StaticRegistrar(("2001:db8::1",), 4000, 9900),
        StaticRegistrar(("10.0.0.1", "10.0.1.1"), 3863, None),
    ]
    assert taken("-registrar=tcp:10.0.0.1").registrars == [StaticRegistrar(("10.0.0.1",), 3863, tcp=True)]
    assert taken("-registrar=localhost!17").registrars[0].port == 17


def test_announces():
    assert taken().announce == ("239.0.0.50", 3863)
    assert taken("-asapannounce=off").announce is None
    assert taken("-asapannounce=off", "-asapannounce=auto").announce == ("239.0.0.50", 3863)
    assert taken("-asapannounce=239.1.2.3").announce == ("239.1.2.3", 3863)
    assert taken("-asapannounce=239.1.2.3:99").announce == ("239.1.2.3", 99)


@pytest.mark.parametrize(
    "argument, field, value",
    [
        ("-registrarannouncetimeout=1000", "announce_timeout", 1.0),
        ("-registrarconnecttimeout=1500", "connect_timeout", 1.5),
        ("-registrarconnectmaxtrials=4", "connect_trials", 4),
        ("-registrarrequesttimeout=100", "request_timeout", 0.1),
        ("-registrarresponsetimeout=200", "response_timeout", 0.2),
        ("-registrarrequestmaxtrials=2", "request_trials", 2),
        ("-cspserver=10.0.0.1", "csp_server", ("10.0.0.1", 2960)),
        ("--csp-server=10.0.0.1:99", "csp_server", ("10.0.0.1", 99)),
        ("-cspinterval=1000", "csp_interval", 1.0),
        ("-cspinterval=10", "csp_interval", 0.25),
        ("-cspidentifier=0x10", "csp_identifier", 16),
    ],
)
def test_values(argument, field, value):
    assert getattr(taken(argument), field) == value


def test_every_option_is_tested_above():
    assert len(options.OPTIONS) == 12  # -tls, which needs files: tests/unit/apps/test_rspcerts.py


@pytest.mark.parametrize(
    "argument",
    [
        "-registrar=10.0.0.1",
        "-registrar=",
        "-registrar",
        "-registrar=10.0.0.1:99999",
        "-registrar=[::1:5",
        "-registrar=:5",
        "-asapannounce=10.0.0.1",
        "-registrarconnecttimeout=0",
        "-registrarconnecttimeout=x",
        "-registrarrequestmaxtrials=0",
        "-cspidentifier=0xfffffffffffffffff",
    ],
)
def test_bad_values_say_which_option(argument):
    with pytest.raises(ValueError, match=r"^-(registrar|asap|csp)"):
        options.take(Settings(), argument)


@pytest.mark.parametrize("argument", ["-echo", "registrar=1", "-policy=Random", ""])
def test_others_options_are_left_alone(argument):
    assert not options.take(Settings(), argument)


def test_environment():
    settings = Settings()
    options.from_environment(settings, {"CSP_SERVER": "10.0.0.1:2960", "CSP_INTERVAL": "100"})
    assert (settings.csp_server, settings.csp_interval) == (("10.0.0.1", 2960), 0.25)
    with pytest.raises(ValueError, match="CSP_INTERVAL"):
        options.from_environment(settings, {"CSP_INTERVAL": "x"})
    before = settings.csp_server
    options.from_environment(settings, {})
    assert settings.csp_server == before


@pytest.mark.parametrize("name", policies.TYPES)
def test_every_policy_can_be_written(name):
    words = options._GIVEN.get(name, ())
    text = ":".join((name, *("7" if w in ("weight", "priority") else "0.5" for w in words)))
    policy = options.parse_policy(text)
    assert policies.NAMES[policy.type] == name
    assert options.policy_text(policy) == text


def test_policies():
    assert options.parse_policy("RoundRobin") == Policy(policies.ROUND_ROBIN)
    assert options.parse_policy("WeightedRandomDPF:5:1.0") == Policy(
        policies.WEIGHTED_RANDOM_DPF, weight=5, weight_dpf=0xFFFFFFFF
    )
    assert options.policy_text(Policy(77)) == "policy 0x0000004d"
    for bad in ("", "roundrobin", "RoundRobin:1", "Priority", "Priority:x", "Priority:-1", "LeastUsedDPF:1.5"):
        with pytest.raises(ValueError):
            options.parse_policy(bad)
