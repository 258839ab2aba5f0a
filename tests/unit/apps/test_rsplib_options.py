"""Every option of RSPLIB's programs is one of ours, takes what the original's takes, in each spelling.

The table is RSPLIB's option lists, as one would write them there. What the original itself refuses, or names
otherwise in its documentation, is among them.
"""

import pytest
from rserpool_apps import pages
from rserpool_apps.options import UsageError, help_text, parse
from rserpool_apps.start import PROGRAMS

LOGGING = """
    -logfile=F -logappend=F -logquiet -loglevel=9 -logcolor=off
"""
CSP = "-cspserver=127.0.0.1:2960 -cspinterval=333 "
LIBRARY = (
    LOGGING
    + CSP
    + """
    -cspidentifier=0x1234 -registrar=127.0.0.1:3863 -asapannounce=off -registrarannouncetimeout=5000
    -registrarconnecttimeout=5000 -registrarconnectmaxtrials=2 -registrarrequesttimeout=5000
    -registrarresponsetimeout=5000 -registrarrequestmaxtrials=2
"""
)
RSPLIB = {
    "rspregistrar": LOGGING
    + CSP
    + """
        -identifier=0xabcd -asap=127.0.0.1:3863 -asapannounce=239.0.0.50:3863 -enrp=auto -enrpannounce=none
        -enrpmulticast=off -peer=127.0.0.1:9901 -announcettl=30 -autoclosetimeout=300 -serverannouncecycle=1000
        -endpointkeepalivetransmissioninterval=5000 -endpointkeepalivetimeoutinterval=5000
        -minaddressscope=loopback -peerheartbeatcycle=2444 -peermaxtimelastheard=5000
        -peermaxtimenoresponse=5000 -mentordiscoverytimeout=5000 -mentorhuntinterval=5000
        -takeoverexpiryinterval=5000 -supporttakeoversuggestion -maxbadpereports=3 -distancestep=50
        -maxincrement=0 -maxhresitems=3 -maxelementsperhtrequest=128 -maxhrrate=-1 -maxeurate=1.5 -quiet
        -disable-ipv6 -daemonpidfile=F -uptime=10 -downtime=10 -actionlogfile=F.bz2 -statsfile=F
        -statsinterval=1000 -scalar=F -object=registrar
    """,
    "rspserver": LIBRARY
    + """
        -echo -discard -daytime -chargen -pingpong -fractal -calcapp -scripting -poolhandle=Pool
        -identifier=0x1234 -local=127.0.0.1:4711 -rereginterval=30000 -policy=WeightedRandomDPF:3:0.5
        -runtime=1000 -quiet -daemonpidfile=F -uptime=10 -downtime=10 -chargenmaxthreads=4 -pppmaxthreads=4
        -pppfailureafter=20 -fgpmaxthreads=4 -fgptransmittimeout=2500 -fgpdatamaxtime=1000
        -fgpcookiemaxtime=1000 -fgpcookiemaxpackets=10 -fgpfailureafter=20 -fgptestmode -capobject=x[0]
        -capvector=F -capscalar=F -capcapacity=1000000 -capmaxjobs=10 -capkeepalivetransmissioninterval=2500
        -capkeepalivetimeoutinterval=2500 -capcookiemaxtime=0.5 -capcookiemaxcalculations=5000000
        -capcleanshutdownprobability=0.5 -ssmaxthreads=2 -sskeeptempdirs -ssverbose -sstransmittimeout=30000
        -sskeepaliveinterval=15000 -sskeepalivetimeout=10000 -sscachemaxsize=131072 -sscachemaxentries=16
        -sscachedirectory=D -sskeyring=F -sstrustdb=F
    """,
    "rspterminal": LIBRARY + "-poolhandle=EchoPool",
    "pingpongclient": LIBRARY + "-poolhandle=PingPongPool -interval=500",
    "calcappclient": LIBRARY
    + """
        -poolhandle=CalcAppPool -object=x[0] -vector=F -scalar=F -jobinterval=15 -jobsize=5000000
        -keepalivetransmissioninterval=5000 -keepalivetimeoutinterval=5000 -runtime=86400 -daemonpidfile=F
    """,
    "fractalpooluser": LIBRARY
    + """
        -poolhandle=FractalGeneratorPool -configdir=. -caption=Text -width=400 -height=250 -threads=9
        -sendtimeout=5000 -recvtimeout=5000 -interimagetime=5 -imagestorageprefix=P -colormarks -nocolormarks
        -sessions -nosessions -identifier=0x1234
    """,
    "scriptingclient": LIBRARY
    + """
        -input=F -output=F -environment=F -poolhandle=ScriptingPool -runid=one -maxretry=3 -retrydelay=10000
        -transmittimeout=59500 -keepaliveinterval=10000 -keepalivetimeout=10000 -quiet
    """,
    "cspmonitor": """
        -localaddress=127.0.0.1:2960 -updateinterval=1000 -purgeinterval=30000 -compact -full -maxpr=6
        -maxpe=42 -maxpu=24 -maxlocationsize=72 -loglevel=1
    """,
    "hsdump": LOGGING,
    "hrestest": LIBRARY
    + """
        -poolhandle=EchoPool -items=3 -pause=10 -maxruns=10 -reportunreachableprobability=0.5 -quiet
        -printresults -statsfile=F -statsinterval=1000
    """,
    "testregistrator": LIBRARY
    + """
        -poolhandle=TestPool -pools=3 -poolelements=10 -pause=10 -policy=wrr -load=100 -loaddeg=100 -weight=2
        -fastbreak -noderegistration
    """,
    "attacker": LIBRARY
    + """
        -type=handleresolution -interval=0.5 -port=4711 -identifier=0x1234 -poolhandle=EchoPool
        -policy=LeastUsedDegradation:0.1 -loaddegoverride=0.5 -dontwait -reportunreachableprobability=0.5
    """,
    "gettimestamp": "-offset=1000 -text",
}
BY_NAME = {program.name: program for program in pages.programs()}
WORDS = [(name, word) for name, words in RSPLIB.items() for word in words.split()]
ARGUMENTS = {"hsdump": ["127.0.0.1:9901"]}
# Programs of RSPLIB that take plain arguments only.
PLAIN = {"scriptingcontrol", "scriptingserviceexample", "exectime", "execalarm"}
OURS = {"rspcerts", "rspdemo", "rsptrace", "createsummary", "make-test-cache"}


@pytest.mark.parametrize(("program", "word"), WORDS, ids=lambda x: x)
def test_the_originals_options_work(program, word):
    table, more = BY_NAME[program], ARGUMENTS.get(program, [])
    option, equals, value = word.partition("=")
    spellings = [[word], [f"-{word}"], *([[option, value], [f"-{option}", value]] if equals else [])]
    found = [vars(parse(table, [*words, *more])) for words in spellings]
    assert all(values == found[0] for values in found)
    assert len(found[0]["given"]) == 1


@pytest.mark.parametrize(("option", "most"), [("maxhresitems", 128), ("maxelementsperhtrequest", 1024)])
def test_where_the_original_caps_a_number_it_is_not_refused(option, most):
    taken = {n: getattr(parse(BY_NAME["rspregistrar"], [f"-{option}={n}"]), option) for n in (1, most, 4000)}
    assert taken == {1: 1, most: most, 4000: most}
    with pytest.raises(UsageError, match="must be at least 1"):
        parse(BY_NAME["rspregistrar"], [f"-{option}=0"])


def test_limits_are_written_out():
    with pytest.raises(UsageError, match=r"must be in 5\.\.1000000 \(seconds\)"):
        parse(BY_NAME["rspregistrar"], ["-autoclosetimeout=4"])


def test_no_program_is_left_out():
    assert set(RSPLIB) | PLAIN | OURS == set(PROGRAMS)


@pytest.mark.parametrize("program", BY_NAME.values(), ids=lambda p: p.name)
def test_every_option_is_explained_with_its_default(program):
    text = " ".join(help_text(program, 100).split())
    for option in program.options():
        assert option.usage in text
        if option.parse is not None and option.default:
            assert f"[{option.shown or option.default}]" in text
    with pytest.raises(UsageError, match="unknown option -unknown-thing"):
        parse(program, ["-unknown-thing=1"])


@pytest.mark.parametrize("policy", [
    "RoundRobin", "WeightedRoundRobin:3", "Random", "WeightedRandom:3", "WeightedRandomDPF:3:0.5", "Priority:3",
    "LeastUsed", "LeastUsedDPF:0.5", "LeastUsedDegradation:0.5", "LeastUsedDegradationDPF:0.5:0.5",
    "PriorityLeastUsed:0.5", "PriorityLeastUsedDegradation:0.5", "PriorityLeastUsedDegradationDPF:0.5:0.5",
    "RandomizedLeastUsed", "RandomizedPriorityLeastUsed",
])  # fmt: skip
def test_the_originals_policies_are_taken(policy):
    parse(BY_NAME["rspserver"], [f"-policy={policy}"])
