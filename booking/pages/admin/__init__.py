"""The pages of administrators: what exists and when, packages, accounts, levels, the journal."""
