"""The calendar: which time it shows, what is free in it, and how some of it becomes a booking."""
