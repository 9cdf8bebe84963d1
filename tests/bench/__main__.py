"""`python -m tests.bench`: the measurements of the timeline; see each module for its options."""

import sys

from tests.bench.calendar import main

sys.exit(main())
