"""The pieces of the adapter to Blazar that need no cloud: names, dates, packing, errors."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from blazarclient.exception import BlazarClientException
from keystoneauth1 import exceptions as keystone
from openstack.exceptions import ConfigException
from requests.exceptions import ReadTimeout

from booking.adapters.base import ClusterSpec, Misconfigured, NotEnough, ProvisionerError
from booking.adapters.openstack.errors import Busy, NotThere, Unsure, scrubbed, speaking, translated
from booking.adapters.openstack.naming import Tag, ceiled, fingerprint, floored, heard, spoken
from booking.adapters.openstack.shapes import HostLeases, InstanceLeases, Size, packed

GIB = 1024
AT = datetime(2030, 1, 7, 9, 30, tzinfo=UTC)
HOST = Size(64 * GIB, 16)


def spec(head: Size, worker: Size, count: int) -> ClusterSpec:
    return ClusterSpec(
        reservation_id="pieces0reservation",
        booking_id="pieces0booking",
        owner="ada",
        package="small",
        notebook_cores=head.cores,
        notebook_memory_mib=head.memory_mib,
        worker_cores=worker.cores,
        worker_memory_mib=worker.memory_mib,
        worker_count=count,
        starts_at=AT,
        ends_at=AT + timedelta(hours=1),
    )


@pytest.mark.parametrize("larger", ["", "h", "w"])
def test_a_name_is_read_as_it_was_written(larger: str) -> None:
    tag = Tag("a" * 40, 999_999_999, fingerprint("the reading room, 2nd floor"), larger)
    assert len(tag.name()) <= 80
    assert Tag.read(tag.name()) == tag


@pytest.mark.parametrize(
    "name",
    ["booking-0001", "bk-", "bk-abcdefgh", "bk-abcdefgh-1", "bk-abcdefgh-x-0123abcd", "bk-abcdefgh-1-0123abcd-x",
     "bk-abcdefgh-1-0123abcd\n", "BK-abcdefgh-1-0123abcd", " bk-abcdefgh-1-0123abcd"],
)  # fmt: skip
def test_what_we_did_not_name_is_no_tag(name: str) -> None:
    assert Tag.read(name) is None


def test_installations_are_told_apart_and_keep_their_mark() -> None:
    assert fingerprint("ours") == fingerprint("ours")
    assert len({fingerprint(name) for name in ("", "ours", "Ours", "theirs", "日本")}) == 5


def test_dates_are_whole_minutes_of_utc() -> None:
    tokyo = timezone(timedelta(hours=9))
    odd = AT + timedelta(seconds=1)
    assert (floored(odd), ceiled(odd)) == (AT, AT + timedelta(minutes=1))
    assert (floored(AT), ceiled(AT)) == (AT, AT)
    assert spoken(AT.astimezone(tokyo)) == "2030-01-07 09:30"
    assert heard("2030-01-07T09:30:00.000000") == AT
    assert heard("2030-01-07 09:30:00") == AT


@pytest.mark.parametrize(
    "head, worker, count, hosts",
    [
        (Size(1 * GIB, 1), Size(1 * GIB, 1), 0, 1),
        (Size(1 * GIB, 1), Size(64 * GIB, 16), 3, 4),
        (Size(1 * GIB, 1), Size(32 * GIB, 8), 2, 2),
        (Size(32 * GIB, 8), Size(32 * GIB, 8), 3, 2),
        (Size(1 * GIB, 1), Size(63 * GIB, 1), 2, 2),
        (Size(1 * GIB, 1), Size(1 * GIB, 15), 2, 2),
        # Placed in the order of asking, the head would open a host that no worker fits on.
        (Size(33 * GIB, 4), Size(40 * GIB, 4), 1, 2),
        (Size(1 * GIB, 4), Size(16 * GIB, 4), 15, 4),
    ],
)
def test_nodes_are_packed_on_whole_hosts(head: Size, worker: Size, count: int, hosts: int) -> None:
    shape = HostLeases(HOST.cores, HOST.memory_mib).shape(spec(head, worker, count))
    (part,) = shape.parts
    assert part.amount == part.asked["min"] == part.asked["max"] == hosts


@pytest.mark.parametrize("node", [Size(65 * GIB, 1), Size(1 * GIB, 17)], ids=str)
def test_a_node_larger_than_a_host_is_refused_for_good(node: Size) -> None:
    with pytest.raises(ProvisionerError, match="larger than a host") as refused:
        packed([node], HOST)
    assert not refused.value.transient


def test_no_packing_exceeds_a_host_or_needs_a_host_for_nothing() -> None:
    for count in range(1, 40):
        size = Size((count * 7 % 60 + 1) * GIB, count * 5 % 16 + 1)
        number = packed([size] * count, HOST)
        each = min(HOST.cores // size.cores, HOST.memory_mib // size.memory_mib)
        assert number == -(-count // each)


def test_the_part_that_is_likelier_to_be_refused_is_asked_for_first() -> None:
    shape = InstanceLeases(20).shape(spec(Size(4 * GIB, 2), Size(16 * GIB, 8), 3))
    assert [part.asked["amount"] for part in shape.parts] == [3, 1]
    assert shape.larger == "w"


def blazar(message: str, code: int) -> BlazarClientException:
    return BlazarClientException(f"ERROR: {message}", code=code)


@pytest.mark.parametrize(
    "error, kind, transient",
    [
        (blazar("Not enough hosts available", 500), NotEnough, True),
        (blazar("Not enough hosts available", 409), NotEnough, True),
        (blazar("Instance reservation doesn't allow to reduce/replace reserved instance slots when", 409), NotEnough, True),
        (blazar("Invalid lease status.", 500), Busy, True),
        (blazar("The nope resource type is not supported", 500), Misconfigured, False),
        (blazar("Conflicting reservation types found", 500), Misconfigured, False),
        (blazar("BlazarDBNotFound: A database error occurred", 500), Misconfigured, False),
        (blazar("Internal Server Error", 500), Unsure, True),
        (blazar("BlazarDBException: A database error occurred", 500), Unsure, True),
        (blazar("Bad gateway", 502), Unsure, True),
        (blazar("Busy", 503), Unsure, True),
        (blazar("Late", 504), Unsure, True),
        (blazar("Slow down", 429), Unsure, True),
        (blazar("Start date must be later than current date", 400), ProvisionerError, False),
        (blazar("min cannot be updated", 409), ProvisionerError, False),
        (blazar("Object with {'lease_id': 'x'} not found", 404), NotThere, True),
        (blazar("{'error': {'code': 401}}", 401), Misconfigured, False),
        (blazar("Policy doesn't allow blazar:oshosts:get to be performed", 403), Misconfigured, False),
        (keystone.Unauthorized(), Misconfigured, False),
        (keystone.Forbidden(), Misconfigured, False),
        (keystone.NotFound(), NotThere, True),
        (keystone.BadRequest(), ProvisionerError, False),
        (keystone.InternalServerError(), Unsure, True),
        (keystone.ServiceUnavailable(), Unsure, True),
        (keystone.ConnectTimeout(), Unsure, True),
        (keystone.ConnectFailure(), Unsure, True),
        (keystone.RetriableConnectionFailure(), Unsure, True),
        (keystone.DiscoveryFailure(), Unsure, True),
        (keystone.EndpointNotFound(), Misconfigured, False),
        (keystone.EmptyCatalog(), Misconfigured, False),
        (keystone.MissingAuthPlugin(), Misconfigured, False),
        (ConfigException("Cloud nowhere was not found."), Misconfigured, False),
        (ReadTimeout(), Unsure, True),
    ],
    ids=lambda value: str(value)[:50],
)  # fmt: skip
def test_every_error_has_its_meaning(error: Exception, kind: type[ProvisionerError], transient: bool) -> None:
    found = translated(error, "here", "a lease was made")
    assert type(found) is kind
    assert found.transient is transient
    assert "here" in str(found)


def test_an_answer_that_cannot_be_read_leaves_unsure_and_is_not_shown() -> None:
    with pytest.raises(Unsure) as failed, speaking("here", "a lease was made"):
        raise KeyError("lease")
    assert failed.value.__cause__ is None
    assert failed.value.__suppress_context__


def test_what_may_be_a_token_is_not_repeated() -> None:
    token = "gAAAAA" + "Ab3_-" * 36
    assert token not in scrubbed(f"ERROR: no such thing: {token}")
    assert scrubbed("ERROR: Start date\n  must be later") == "Start date must be later"
    assert len(scrubbed("word " * 1000)) <= 300
    uuid = "2c59a1d0-1111-4222-8333-444455556666"
    assert uuid in scrubbed(uuid)
