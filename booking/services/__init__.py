"""Acts: each decides and commits alone. No web framework here; clock, ids and database are arguments."""
