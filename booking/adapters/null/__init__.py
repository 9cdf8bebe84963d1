"""The complete twins of the ports: they keep every rule and start nothing.

Tests and the simulator use them as the outside world; an installation uses them to show the calendar without
making clusters.
"""

from booking.adapters.null.outside import Clock, Event, Memory
from booking.adapters.null.pledges import NullPledges
from booking.adapters.null.provisioner import Call, Faults, Moment, NullProvisioner

__all__ = ["Call", "Clock", "Event", "Faults", "Memory", "Moment", "NullPledges", "NullProvisioner"]
