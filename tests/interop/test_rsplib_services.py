"""Fractal and Scripting services of RSPLIB and ours, each with the other's users, over SCTP over UDP on a wire."""

import shlex

import pytest

from .pictures import PLACE
from .test_fractal import computed
from .test_rsplib import CALLING, IDENTIFIER, OURS, SERVING, THEIRS
from .test_rsplib import here as here
from .test_rsplib import our_registrar as our_registrar
from .test_rsplib import their_registrar as their_registrar
from .test_rsplib import there as there
from .test_rsplib import wire as wire
from .test_scripting import package

pytestmark = pytest.mark.lab


@pytest.mark.parametrize("algorithm", ["Mandelbrot", "MandelbrotN"])
def test_their_fractal_servers_draw_for_our_user(our_registrar, there, here, tmp_path, algorithm):
    options = ("-fractal", "-fgpfailureafter=12", "-fgpcookiemaxpackets=5", OURS)
    place = PLACE.format(iterations=200).replace("Mandelbrot", algorithm)
    (tmp_path / "place.fgp").write_text(place.replace("</Useroptions>", "<N>3</N></Useroptions>"))
    with there("rspserver", *options) as one, there("rspserver", *options) as two:
        identifiers = {one.expect(IDENTIFIER, 30)[1], two.expect(IDENTIFIER, 30)[1]}
        size = (f"-file={tmp_path}/place.fgp", "-width=160", "-height=120", "-threads=2")
        picture = (f"-png={tmp_path}/p.png", "-plain", "-nocolormarks", "-nosessions")
        with here("fractalpooluser", *CALLING, OURS, *size, *picture) as user:
            assert user.popen.wait(90) == 0, user.output
    assert len(user.matches(r"goes on by its cookie")) >= 2
    assert {m[1] for m in user.matches(r"PE \$([0-9a-f]{8}) goes on")} <= identifiers
    assert (tmp_path / "p.png").read_bytes() == computed(160, 120, 2, tmp_path)


def test_our_fractal_servers_draw_for_their_user(their_registrar, here, there):
    mine = ("-fractal", "-fgpfailureafter=15", THEIRS)
    with here("rspserver", *SERVING, *mine) as server:
        server.expect(IDENTIFIER, 30)
        options = ("-width=100", "-height=80", "-interimagetime=1", "-recvtimeout=4000", THEIRS)
        # It ignores SIGINT.
        line = ["env", "QT_QPA_PLATFORM=offscreen", "timeout", "-s", "KILL", "40", "fractalpooluser",
                "-configdir=/usr/share/fgpconfig", *options]  # fmt: skip
        with there(*line) as user:
            server.expect(r"Got Parameter on session", 40)
            server.expect(r"Got CookieEcho on session", 30)
            user.expect("Getting parameters from", 40, count=2)  # the first image is complete
            server.expect(r"Got Parameter on session", 40, count=2)
        assert not server.matches("Aborting"), server.output


def test_their_scripting_server_works_for_our_client(our_registrar, there, here, tmp_path):
    work, environment = tmp_path / "work", tmp_path / "environment"
    work.write_bytes(package('echo result > "$1"; wc -c < "$2" >> "$1"'))
    environment.write_bytes(bytes(range(256)) * 300)
    with there("rspserver", "-scripting", OURS) as server:
        server.expect(IDENTIFIER, 30)
        for words in ("needs environment", "has cached environment"):
            files = (f"-input={work}", f"-output={tmp_path}/out", f"-environment={environment}", "-retrydelay=500")
            with here("scriptingclient", *CALLING, OURS, *files) as client:
                assert client.popen.wait(60) == 0, client.output + server.output
                assert client.matches(words)
            assert (tmp_path / "out").read_text().split() == ["result", "76800"]


def test_our_scripting_server_works_for_their_client(their_registrar, here, there):
    script = '#!/bin/sh\necho result > "$1"; wc -c < "$2" >> "$1"; sleep 2\n'
    prepare = (
        f"cd /tmp && printf %s {shlex.quote(script)} > ssrun && chmod +x ssrun && tar czf work.tar.gz ssrun && "
        "head -c 50000 /dev/zero > environment"
    )
    files = "-input=work.tar.gz -output=out -environment=environment -retrydelay=500 -keepaliveinterval=500"
    with here("rspserver", "-scripting", *SERVING, THEIRS, "-sskeepaliveinterval=400") as server:
        server.expect(IDENTIFIER, 30)
        for words in ("needs environment", "has cached environment"):
            line = f"{prepare} && timeout -s INT 40 scriptingclient {files} {THEIRS} && cat out"
            with there("sh", "-c", line) as client:
                client.expect(r"Download completed", 60)
                client.expect(r"^50000$", 20)
                assert client.matches(words)
        assert len(server.matches("Processing completed")) == 2
        assert server.end() == 0
