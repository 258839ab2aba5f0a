"""Fractal images by servers that are killed and started again: real processes on loopback."""

import random
import signal
import time
from contextlib import ExitStack

from .programs import ours, running

TRANSPORT = "-transport=userland"
SERVERS = 4
GROWTH, GROWTHS = 3, 5  # of the work, where it was done too soon
QUICK = ("-mentordiscoverytimeout=200", "-serverannouncecycle=200", "-enrpannounce=off",
         "-endpointkeepalivetransmissioninterval=300", "-endpointkeepalivetimeoutinterval=500")  # fmt: skip


class Pool:
    """A registrar and four fractal servers."""

    def __init__(self, stack: ExitStack, *options: str) -> None:
        self.common = (TRANSPORT, f"-asapannounce=239.0.0.50:{random.randint(20000, 29999)}")
        self.options = options
        self._stack = stack
        registrar = self._start("rspregistrar", *QUICK)
        registrar.expect("Server ID:")
        self.servers = [self.server() for _ in range(SERVERS)]
        for one in self.servers:
            one.expect(r"Identifier\s+= ")

    def _start(self, program, *options, **more):
        return self._stack.enter_context(running(ours(program, *self.common, *options), **more))

    def server(self):
        return self._start("rspserver", "-fractal", "-policy=LeastUsed", *self.options)

    def draw(self, png, *options):
        """Start a pool user that draws one image; it ends by itself."""
        return self._start("fractalpooluser", "-plain", f"-png={png}", "-nocolormarks", "-nosessions", *options)

    def kill_one_after_the_other(self, user, pause, seconds):
        """Kill a server that draws, start another in its place, and again after ``pause`` seconds, until the
        user has ended; return how many were killed. The others go on, so two of them are waited for."""
        rng = random.Random(5)
        end = time.monotonic() + seconds
        kills = 0
        while user.popen.poll() is None and time.monotonic() < end:
            ready = [n for n, s in enumerate(self.servers) if s.matches(r"Identifier\s+= ")]
            drawing = [n for n in ready if self.servers[n].matches("Got (Parameter|CookieEcho)")]
            if not drawing or len(ready) < 3:
                wait_for_end(user, 0.02)
                continue
            place = rng.choice(drawing)
            self.servers[place].send_signal(signal.SIGKILL)
            kills += 1
            self.servers[place] = self.server()
            wait_for_end(user, pause)
        assert user.popen.poll() == 0, user.output
        return kills


def wait_for_end(user, seconds):
    """Wait until a program has ended, at most so long."""
    end = time.monotonic() + seconds
    while user.popen.poll() is None and time.monotonic() < end:
        time.sleep(0.02)


PLACE = """<!DOCTYPE XMLFractalSave>
<FractalV1><Algorithm><AlgorithmName>Mandelbrot</AlgorithmName>
<C1Real>-0.7</C1Real><C1Imag>1.2</C1Imag><C2Real>1.5</C2Real><C2Imag>-1.2</C2Imag>
<Useroptions><MaxIterations>{iterations}</MaxIterations></Useroptions></Algorithm></FractalV1>
"""


def pictures(folder, width, height, iterations, sessions, pause, seconds, kills):
    """Draw an image by servers that are killed, and undisturbed; return both PNGs, the user, the kills.

    How long an image takes is the machine's affair: it gets more iterations until so many servers were killed.
    """
    place = folder / "place.fgp"
    size = (f"-file={place}", f"-width={width}", f"-height={height}", f"-threads={sessions}", "-recvtimeout=1500")
    with ExitStack() as stack:
        pool = Pool(stack, "-fgpcookiemaxpackets=2", "-fgpmaxthreads=16")
        for _ in range(GROWTHS):
            place.write_text(PLACE.format(iterations=iterations))
            user = pool.draw(folder / "disturbed.png", *size)
            killed = pool.kill_one_after_the_other(user, pause, seconds)
            if killed >= kills:
                break
            iterations *= GROWTH
        quiet = pool.draw(folder / "quiet.png", *size)
        assert quiet.popen.wait(seconds) == 0, quiet.output
    return (folder / "disturbed.png").read_bytes(), (folder / "quiet.png").read_bytes(), user, killed
