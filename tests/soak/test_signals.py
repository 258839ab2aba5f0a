"""Every program at every stage with every signal, also a second one while it is already ending."""

import pytest

from tests.interop.stages import play
from tests.interop.world import PLANS


@pytest.mark.parametrize("offset", range(len(PLANS)))
def test_every_program_at_every_stage_with_every_signal(tmp_path, offset):
    print(*(f"{took:5.2f} s  {what}" for what, took in sorted(play(tmp_path, offset).items())), sep="\n")
