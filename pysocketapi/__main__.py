"""`python -m pysocketapi doctor`."""

import sys

from .doctor import main

if sys.argv[1:2] != ["doctor"]:
    print("usage: python -m pysocketapi doctor", file=sys.stderr)
    sys.exit(2)
sys.exit(main(sys.argv[2:]))
