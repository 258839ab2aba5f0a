"""Three registrars in virtual time: crashes, partitions, lost messages; afterwards everybody knows the truth.

The long version with 10,000 pool elements and 100 seeds is in tests/soak.
"""

import pytest

from tests.sim.registrars import ElementNode, RegistrarNode, World, difference

# With long intervals nothing but keep-alives, updates, audits and takeovers can repair what broke: no
# registration expires, hardly any is renewed. With short ones those must have done it before the first expires
# (90 s). What is waited for is the end of associations that were cut (20 s), hunting, noticing a death (12.5 s),
# takeover (5 s), keep-alives (10 s), and some audits.
INTERVALS = (30.0, 1000.0)  # of re-registration
QUIET = 60.0


def scenario(seed, elements=60, loss=0.05, rounds=3, interval=30.0, **clock):
    """Random trouble, then quiet, several times; yields the world after each quiet period."""
    world = World(seed, loss, **clock)
    for i in range(3):
        # Not at the same instant: the first has no mentor, the others find one.
        world.at(i * 7.0, RegistrarNode, world, f"10.0.0.{i + 1}", 0x1000 * (i + 1))
        world.run(20.0)
    for i in range(elements):
        handle = b"Pool%d" % (i % 7)
        ElementNode(world, f"10.1.{i >> 8}.{i & 255}", handle, i + 1, interval)
    for number in range(rounds):
        world.loss = loss
        trouble(world)
        world.loss = 0.0
        world.heal()
        for node in world.registrars:
            if not node.alive:
                node.start()
        world.run(world.now + QUIET)
        yield number, world


def trouble(world):
    """A minute or so in which things break."""
    rng = world.rng
    world.run(world.now + rng.uniform(5, 20))
    for _ in range(rng.randrange(1, 4)):
        what = rng.random()
        if what < 0.4:
            node = rng.choice(world.registrars)
            if node.alive and sum(r.alive for r in world.registrars) > 1:
                node.crash()
        elif what < 0.7:
            everyone = [*world.registrars, *world.elements]
            rng.shuffle(everyone)
            cut = rng.randrange(1, len(everyone))
            world.partition(everyone[:cut], everyone[cut:])
        elif what < 0.8:
            world.heal()
        else:
            for node in rng.sample(world.elements, len(world.elements) // 10):
                if node.alive:
                    rng.choice((node.crash, node.stop))()
        world.run(world.now + rng.uniform(1, 30))
        for node in world.registrars:
            if not node.alive and rng.random() < 0.3:
                node.start()


@pytest.mark.parametrize("interval", INTERVALS)
@pytest.mark.parametrize("seed", range(8))
def test_after_trouble_all_registrars_know_exactly_who_lives(seed, interval):
    for number, world in scenario(seed, interval=interval):
        assert difference(world) == [], f"seed {seed}, round {number}"
    world.run(world.now + 100.0)  # nobody expires in peace
    assert difference(world) == []


def settled(seed, elements=30, loss=0.0, registrars=3):
    world = World(seed, loss)
    for i in range(registrars):
        world.at(i * 7.0, RegistrarNode, world, f"10.0.0.{i + 1}", 0x1000 * (i + 1))
    world.run(20.0)
    for i in range(elements):
        ElementNode(world, f"10.1.0.{i}", b"Pool%d" % (i % 3), i + 1, interval=300.0)
    world.run(40.0)
    assert difference(world) == []
    return world


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("registrars", [2, 3])
def test_takeover_comes_within_the_sum_of_the_timers(seed, registrars):
    world = settled(seed, registrars=registrars)
    # The elements do not notice that their home has gone: only a takeover can help them.
    victim = world.registrars[0]
    orphans = [e for e in world.elements if e.home.other(e) is victim]
    assert orphans
    victim.alive = False
    started = world.now
    config = victim.registrar.state.config
    bound = (
        1.125 * config.heartbeat_cycle + config.max_last_heard + config.max_no_response + config.takeover_timeout
    )
    while any(e.home.other(e) is victim for e in orphans) and world.now < started + bound + 1:
        world.run(world.now + 0.1)
    assert world.now - started <= bound
    world.run(world.now + 5)
    assert difference(world) == []
    assert sum(r.registrar.statistics.takeovers for r in world.registrars[1:]) == 1


def test_runs_repeat_from_their_seed():
    def fingerprint():
        world = settled(3, loss=0.02)
        return world.messages, [[repr(e) for e in r.space.walk()] for r in world.registrars]

    assert fingerprint() == fingerprint()
