"""Nova's databases in one process: `nova_tables.py --config-file nova.conf`, with RIG_CELL0=address of the cell of failures.

The same as four runs of nova-manage, each of which would load Nova again.
"""

from __future__ import annotations

import os
import sys

from nova import config, objects
from nova.cmd import manage


def main() -> None:
    config.parse_args(sys.argv)
    objects.register_all()
    cells = manage.CellV2Commands()
    for code in (
        manage.ApiDbCommands().sync(),
        cells.map_cell0(database_connection=os.environ["RIG_CELL0"]),
        manage.DbCommands().sync(),
        cells.create_cell(name="cell1"),
    ):
        if code:
            sys.exit(code)


main()
