"""The core: what is free and what may be promised. Pure Python and numpy; no framework, no database, no clock."""
