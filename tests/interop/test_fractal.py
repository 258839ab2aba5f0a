"""The Fractal service with real processes: servers die and leave, the picture is that of an undisturbed run."""

import importlib.util
import random
import signal
from contextlib import ExitStack

from rserpool_apps import fractal_files, fractal_picture

from rserpool.services import fractal_images

from .helpers import lacking, wait_until
from .pictures import PLACE, TRANSPORT, Pool, pictures
from .programs import ours, running


def computed(width, height, sessions, folder):
    """The picture of the folder's place, computed here."""
    parameter, _ = fractal_files.read(folder / "place.fgp")
    parameter.width, parameter.height = width, height
    parts = fractal_picture.split(parameter, sessions)
    picture = fractal_picture.Picture(width, height, parts)
    for part in parts:
        points = [c for _, _, counts in fractal_images.points(part.parameter) for c in counts]
        picture.put(part, 0, tuple(points))
    return picture.png()


def test_servers_killed_and_restarted_the_picture_is_the_same(tmp_path):
    disturbed, quiet, user, kills = pictures(tmp_path, 320, 200, 1500, 6, 0.3, 60, 3)
    assert kills >= 3, user.output
    assert user.matches(r"goes on by its cookie|begins again"), user.output
    assert disturbed == quiet
    assert disturbed == computed(320, 200, 6, tmp_path)


def test_servers_that_leave_after_some_packets_and_a_saved_sequence(tmp_path):
    with ExitStack() as stack:
        pool = Pool(stack, "-fgpfailureafter=6", "-fgptestmode")
        user = pool._start("fractalpooluser", "-plain", "-threads=2", "-width=100", "-height=80", "-images=2",
                           "-interimagetime=0", f"-imagestorageprefix={tmp_path}/image-")  # fmt: skip
        assert user.popen.wait(30) == 0, user.output
        assert user.matches(r"has gone: failover")
        assert user.matches(r"goes on by its cookie")
        assert len(user.matches(r"Image [12] completed in .* failovers: ")) == 2
        assert pool.servers[0].matches(r"Max Threads\s+= 4")
        assert any(s.matches(r"Disconnecting after 6 packets") for s in pool.servers)
        assert any(s.matches(r"Got CookieEcho on session") for s in pool.servers)
    names = sorted(p.name for p in tmp_path.iterdir())
    assert names == ["image-000001.png", "image-000002.png"]


def test_a_signal_closes_the_window_in_the_middle_of_an_image(tmp_path):
    """Without a window: test_signals."""
    if importlib.util.find_spec("PySide6") is None:
        lacking("PySide6 is missing (extra gui)")
    (tmp_path / "place.fgp").write_text(PLACE.format(iterations=100_000))
    options = ("-threads=4", f"-file={tmp_path}/place.fgp", "-display=window", "-loglevel=3")
    with ExitStack() as stack:
        pool = Pool(stack)
        user = pool._start("fractalpooluser", *options, env={"QT_QPA_PLATFORM": "offscreen", "TERM": "xterm"})
        wait_until(lambda: sum(len(s.matches("Got Parameter")) for s in pool.servers) >= 4, 30)
        assert user.end(signal.SIGINT, 3.0) == 0
        for server in pool.servers:
            # Which server has how many sessions is chance.
            wait_until(lambda: len(server.matches("SESSION_ADD")) == len(server.matches("SESSION_REMOVE")), 10)
            assert server.end(signal.SIGTERM, 3.0) == 0
    assert "Traceback" not in user.output


def test_without_a_registrar_it_says_so_and_ends_at_a_signal():
    silent = (TRANSPORT, "-udp-port=0", f"-asapannounce=239.0.0.50:{random.randint(20000, 29999)}")
    with running(ours("fractalpooluser", *silent, "-plain")) as user:
        user.expect("no registrar found: start rspregistrar", 15)
        assert user.end(signal.SIGTERM, 2.0) == 0
    assert "Traceback" not in user.output
