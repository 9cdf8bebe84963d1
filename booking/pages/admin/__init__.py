"""The pages of administrators: the day, what exists and when, packages, templates, accounts, levels, the journal."""
