"""Pledges on OpenStack Blazar: one lease for each reservation.

A lease is found by its name, `bk-<reservation>-<revision>-<installation>`; Blazar keeps no two apart by it
and takes no token of ours, so what may have been made is looked for before anything is made. What Blazar
grants under concurrency it may grant twice, and of machines more than there is: changes are serialised
(:attr:`Cloud.writing`), and what was given is counted in the allocations afterwards.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from booking.adapters.base import (
    ClusterSpec,
    Inquiry,
    Misconfigured,
    NotEnough,
    Pledged,
    ProvisionerError,
    Stranger,
    checked_id,
)
from booking.adapters.openstack.counting import Count, Overgranted
from booking.adapters.openstack.errors import NotThere, Unsure
from booking.adapters.openstack.inquiries import inquiry
from booking.adapters.openstack.leases import (
    CREATING,
    ENDING,
    ERROR,
    PENDING,
    STABLE,
    TERMINATED,
    Lease,
    Leases,
)
from booking.adapters.openstack.naming import fingerprint
from booking.adapters.openstack.seeing import best, seen, strangers
from booking.adapters.openstack.session import Clock, Cloud
from booking.adapters.openstack.shapes import FLAVORS, HOSTS, INSTANCES, Kind
from booking.adapters.openstack.wishes import Wish, reverting

POLLS = 5
"""How often a lease is looked at until it is stable; after that it is told as changing."""
POLL_SECONDS = 0.5
TRIES = 4
"""How often machines are asked for that Blazar puts on hosts that are full."""


class BlazarPledges:
    """The leases of one installation, all of one kind.

    The caller should be an administrator of Blazar: allocations and the leases of others are not shown to
    anybody else, and who may not see them is :class:`Misconfigured`.
    """

    name = "blazar"

    def __init__(
        self,
        cloud: Cloud,
        kind: Kind,
        *,
        installation: str,
        clock: Clock,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self.may_change = kind.may_change
        self._cloud, self._kind, self._clock = cloud, kind, clock
        self._ours = fingerprint(installation)
        self._leases = Leases(cloud)
        self._poll_seconds = poll_seconds

    def pledge(self, spec: ClusterSpec) -> Pledged:
        """As the port says; what Blazar's manager was given and did not answer for is looked for, never repeated."""
        checked_id(spec.reservation_id)
        wish = Wish.of(spec, self._kind, self._ours, self._clock.now())
        with self._cloud.writing:
            kept = self._reduced(self._of(spec.reservation_id), wish)
            if kept is None:
                return seen(self._made(wish))
            try:
                return seen(self._fitted(kept, wish))
            except NotThere:
                # Somebody deleted it since it was listed.
                return seen(self._made(wish))

    def look(self) -> Mapping[str, Pledged]:
        found: defaultdict[str, list[Lease]] = defaultdict(list)
        for lease in self._leases.all():
            if lease.tag and lease.tag.installation == self._ours:
                found[lease.tag.reservation_id].append(lease)
        return {reservation_id: seen(best(leases)) for reservation_id, leases in found.items()}

    def release(self, reservation_id: str) -> None:
        """As the port says. An active lease ends the machines in it, which may take Blazar minutes:
        until then this raises a transient error, and the next call goes on."""
        checked_id(reservation_id)
        failed: ProvisionerError | None = None
        with self._cloud.writing:
            for lease in self._of(reservation_id):
                try:
                    self._deleted(lease)
                except ProvisionerError as error:
                    failed = error
        if failed is not None:
            raise failed

    def strangers(self) -> tuple[Stranger, ...]:
        return strangers(self._leases, self._ours, self._clock.now())

    def inquiry(self, asked: Mapping[str, Any]) -> Inquiry:
        """As the port says, of what Blazar's ExternalServiceFilter sends."""
        return inquiry(asked, self._ours)

    def _of(self, reservation_id: str) -> list[Lease]:
        return [
            lease
            for lease in self._leases.all()
            if lease.tag
            and lease.tag.installation == self._ours
            and lease.tag.reservation_id == reservation_id
        ]

    def _reduced(self, mine: list[Lease], wish: Wish) -> Lease | None:
        """The one to keep, the others deleted: of those that work the one that meets the wish, and of these the oldest.

        What is ending by itself is left to do so.
        """
        usable = [lease for lease in mine if lease.status not in {TERMINATED, ERROR} | ENDING]
        meeting = [lease for lease in usable if wish.is_met_by(lease)]
        kept = best(meeting or usable) if usable else None
        for lease in mine:
            if lease is not kept and lease.status not in ENDING:
                self._deleted(lease)
        return kept

    def _made(self, wish: Wish, spare: str = "") -> Lease:
        """A new lease; the one with the id `spare` is left as it is, and will give its place to the new one.

        Blazar fills hosts that are in use first, and so would give the same ones that are full again: it is told
        which these are; at first also those where it might put too many, and if it has not enough then, only the full.

        :raises NotEnough: if Blazar refuses, or has given away twice what it gave; nothing stays of it.
        """
        shape, other = wish.shape, None
        for left in reversed(range(TRIES)):
            try:
                return self._granted(replace(wish, shape=shape), spare)
            except Overgranted as error:
                if not left:
                    raise
                shape, other = shape.away_from(error.scarce), shape.away_from(error.full)
            except NotEnough:
                if not left or other is None:
                    raise
                shape, other = other, None
        raise AssertionError("the last try returns or raises")

    def _granted(self, wish: Wish, spare: str) -> Lease:
        """:raises Overgranted: if it was made, could not be kept, and may be on other hosts."""
        asked = [part.asked for part in wish.shape.parts]
        name, failed = wish.tag.name(), None
        try:
            self._leases.create(name, wish.start(), wish.ends_at, asked)
        except Unsure as error:
            failed = error
        # Looked for even if it was answered: another process may have made one at the same time.
        kept = self._reduced(self._appeared(wish, spare, looks=POLLS if failed else 1), wish)
        if kept is None:
            raise failed or ProvisionerError("Blazar made the lease, and it is gone already.")
        kept = self._settled(kept)
        # Half made, it has not got its hosts yet; whoever adopts it counts them.
        if kept.status != CREATING:
            self._verified(kept, spare)
        return kept

    def _appeared(self, wish: Wish, spare: str, looks: int) -> list[Lease]:
        """Those of the reservation but `spare`; who had no answer may look before Blazar has written it down."""
        for look in range(looks):
            if look:
                time.sleep(self._poll_seconds)
            if found := [lease for lease in self._of(wish.tag.reservation_id) if lease.id != spare]:
                return found
        return []

    def _fitted(self, kept: Lease, wish: Wish) -> Lease:
        """The lease as the wish wants it, unless Blazar is at work on it.

        :raises NotThere: if it is gone.
        """
        kept = self._settled(kept)
        if kept.status not in STABLE - {TERMINATED, ERROR}:
            return kept
        values = wish.change(kept)
        if values is None or wish.is_risky(kept, values):
            try:
                made = self._made(wish, spare=kept.id)
                self._deleted(kept)
                return made
            except NotEnough:
                # There is no room for both: what only grows may be tried in place.
                if values is None or wish.shrinks(kept):
                    raise
        if values:
            return self._changed(kept, wish, values)
        if kept.status == PENDING:
            self._verified(kept)
        return kept

    def _changed(self, before: Lease, wish: Wish, values: Mapping[str, object]) -> Lease:
        failed: ProvisionerError | None = None
        try:
            self._leases.change(before.id, values)
        except NotThere:
            raise
        except NotEnough:
            self._reverted(before)
            raise
        except ProvisionerError as error:
            failed = error
        after = self._settled(self._leases.one(before.id))
        if after.status == ERROR:
            # The change broke it, which some do; a new one takes its place.
            self._deleted(after)
            return self._made(wish)
        if failed and after.status in STABLE and not wish.is_met_by(after):
            raise failed
        if set(values) - {"name"}:
            try:
                self._count(after)
            except NotEnough:
                self._reverted(before)
                raise
        return after

    def _reverted(self, before: Lease) -> None:
        """Make it again what it was: of a refused change, Blazar keeps what it did to the first of two reservations."""
        with suppress(ProvisionerError):
            after = self._leases.one(before.id)
            if values := reverting(before, after, self._kind):
                self._leases.change(before.id, values)

    def _verified(self, lease: Lease, spare: str = "") -> None:
        """Give a lease back whose hosts are fewer or smaller than asked for, or somebody else's too.

        :raises NotEnough: after that.
        """
        try:
            self._count(lease, spare)
        except (Misconfigured, NotEnough):
            # Who may not count hosts cannot know what was set aside: better nothing than half of it.
            self._deleted(lease)
            raise

    def _count(self, lease: Lease, spare: str = "") -> None:
        """Look whether what was given is there, and nobody else's at that time.

        :raises NotEnough: if it is not.
        """
        if self._kind.resource_type == INSTANCES:
            Count(self._leases, besides=spare).check(lease)
        elif self._kind.resource_type == FLAVORS and not self._is_placed(lease):
            raise NotEnough("Blazar gave fewer machines than it promised.")
        elif self._kind.resource_type == HOSTS and not self._is_alone(lease):
            raise NotEnough("Blazar gave fewer hosts than it promised, or some that somebody else has then.")

    def _is_placed(self, lease: Lease) -> bool:
        """Whether every machine has a host. How much is on a host is not counted again: of flavors Blazar counts
        every machine, by ratios of Placement that it tells nobody."""
        given = Counter(entry.reservation_id for entry in self._leases.taken())
        return all(given[part["id"]] >= self._kind.part(part).amount for part in lease.reservations)

    def _is_alone(self, lease: Lease) -> bool:
        """Whether whole hosts are there in number, and nobody else's at that time."""
        taken = self._leases.taken()
        ours = [entry for entry in taken if entry.lease_id == lease.id]
        wanted = sum(self._kind.part(part).amount for part in lease.reservations)
        is_shared = any(entry.meets(other) for entry in ours for other in taken)
        return len({entry.host_id for entry in ours}) >= wanted and not is_shared

    def _settled(self, lease: Lease) -> Lease:
        """The same once it is stable, or as it is after a few looks."""
        for _ in range(POLLS):
            if lease.status in STABLE:
                break
            time.sleep(self._poll_seconds)
            lease = self._leases.one(lease.id)
        return lease

    def _deleted(self, lease: Lease) -> None:
        try:
            self._leases.delete(lease.id)
        except Unsure:
            # The answer was lost; whether it was done can be seen.
            with suppress(NotThere):
                self._leases.one(lease.id)
                raise
