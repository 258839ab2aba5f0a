"""For all tests: announces stay on loopback, whatever interfaces the machine has."""

import os

os.environ["RSERPOOL_INTERFACES"] = "loopback"
