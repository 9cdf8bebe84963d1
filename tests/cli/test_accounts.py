"""Set-up, accounts, tokens, levels and the check of everything."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from booking.config import Settings
from booking.doors import Db, Doors, SystemClock, SystemIds, open_engine
from booking.errors import Unauthenticated
from booking.models import Ledger
from booking.services import accounts, tokens
from booking.services.context import Context
from tests.cli.conftest import Terminal

Look = Callable[[Terminal], Context]


@pytest.fixture
def look() -> Iterator[Look]:
    """The same database as the services see it."""
    engines = []

    def see(terminal: Terminal) -> Context:
        settings = Settings(home=terminal.home, database_url=terminal.env["BOOKING_DATABASE_URL"])
        engines.append(open_engine(settings.url))
        clock = SystemClock()
        return Context(Doors(clock, SystemIds(), Db(engines[-1], clock)), settings)

    yield see
    for engine in engines:
        engine.dispose()


def test_the_first_set_up_shows_its_secrets_once_and_they_open_what_they_say(
    tmp_path: Path, look: Look
) -> None:
    fresh = Terminal(tmp_path / "home")
    made = fresh.json("init")
    ctx = look(fresh)
    for person, is_admin in ((made["admin"], True), (made["user"], False)):
        assert accounts.by_password(ctx, person["name"], person["password"]).is_admin is is_admin
    assert tokens.actor_of_bearer(ctx, made["token"]).may("bookings:write")
    assert fresh.ok("init") == "The database is up to date.\n"
    assert fresh.json("init") == {"first": False}


def test_the_first_set_up_is_told_to_people_too(tmp_path: Path, look: Look) -> None:
    fresh = Terminal(tmp_path / "home")
    told = fresh.ok("init")
    password = told.partition("password")[2].split()[0]
    assert accounts.by_password(look(fresh), "admin", password).is_admin


def test_a_bare_set_up_leaves_nothing_but_tables(terminal: Terminal) -> None:
    terminal.ok("init", "--bare")
    assert [terminal.json(noun, "list")["items"] for noun in ("pool", "package", "account")] == [[], [], []]
    assert terminal.json("init") == {"first": False}


def test_an_account_comes_with_a_password_that_is_printed_once(terminal: Terminal, look: Look) -> None:
    made = terminal.json("account", "create", "ann", "--level", "2")
    assert accounts.by_password(look(terminal), "ann", made["password"]).level == 2
    (listed,) = terminal.json("account", "list")["items"]
    assert listed == {key: value for key, value in made.items() if key != "password"}


def test_a_password_can_come_from_standard_input(terminal: Terminal, look: Look) -> None:
    told = terminal.ok("account", "create", "ann", "--password-stdin", given="correct horse\n")
    assert "correct horse" not in told
    assert accounts.by_password(look(terminal), "ann", "correct horse").name == "ann"


def test_a_short_password_is_refused_by_its_field(lite: Terminal) -> None:
    done = lite.run("account", "create", "ann", "--password-stdin", given="short\n")
    assert (done.exit_code, done.stderr) == (1, "password: has 8 to 256 characters\n")


def test_a_name_that_is_taken_is_refused(lite: Terminal) -> None:
    lite.ok("account", "create", "ann")
    assert lite.refused("account", "create", "ann") == (
        "There is an account 'ann' already. (account.conflict)\n"
    )


def test_a_new_password_takes_the_place_of_the_old_one(terminal: Terminal, look: Look) -> None:
    old = terminal.json("account", "create", "ann")["password"]
    new = terminal.json("account", "password", "ann")["password"]
    assert accounts.by_password(look(terminal), "ann", new).name == "ann"
    with pytest.raises(Unauthenticated):
        accounts.by_password(look(terminal), "ann", old)


def test_an_account_can_change_its_level_and_be_closed_and_opened(terminal: Terminal) -> None:
    terminal.ok("account", "create", "ann")
    assert terminal.json("account", "level", "ann", "0")["level"] == 0
    assert terminal.json("account", "disable", "ann")["disabled"]
    assert not terminal.json("account", "enable", "ann")["disabled"]
    assert terminal.refused("account", "level", "nobody", "1") == (
        "There is no account 'nobody'. (account.not_found)\n"
    )


def test_a_token_holds_until_it_is_revoked(terminal: Terminal, look: Look) -> None:
    terminal.ok("account", "create", "robot", "--service")
    made = terminal.json("token", "create", "robot", "--scope", "bookings:read", "--label", "nightly")
    actor = tokens.actor_of_bearer(look(terminal), made["token"])
    assert (actor.may("bookings:read"), actor.may("bookings:write")) == (True, False)
    (listed,) = terminal.json("token", "list", "robot")["items"]
    assert (listed["id"], listed["label"]) == (made["id"], "nightly")
    assert made["token"] not in terminal.ok("token", "list", "robot")
    terminal.ok("token", "revoke", made["id"])
    assert terminal.ok("token", "list", "robot") == "none\n"
    with pytest.raises(Unauthenticated):
        tokens.actor_of_bearer(look(terminal), made["token"])


def test_a_token_without_json_is_the_token_alone(lite: Terminal, look: Look) -> None:
    lite.ok("account", "create", "robot", "--service")
    secret = lite.ok("token", "create", "robot", "--scope", "availability:read", "--days", "1").strip()
    assert tokens.actor_of_bearer(look(lite), secret).name == "robot"


def test_a_token_cannot_carry_more_than_its_account(lite: Terminal) -> None:
    lite.ok("account", "create", "ann")
    said = lite.refused("token", "create", "ann", "--scope", "admin")
    assert said == "Only an administrator's token can carry the scope admin. (auth.forbidden)\n"


def test_limits_of_a_level_are_read_set_and_lifted(terminal: Terminal) -> None:
    changed = terminal.json("level", "set", "1", "packages=tiny,small", "max_length=P2D", "core_hours=none")
    limits = changed["limits"]
    assert (limits["packages"], limits["max_length"]) == (["small", "tiny"], "P2D")
    assert limits["core_hours"] is None
    levels = {row["level"]: row["limits"] for row in terminal.json("level", "list")["items"]}
    assert levels[1] == limits
    assert levels[0]["packages"] == ["tiny"]
    told = terminal.ok("level", "list")
    assert "packages        small,tiny" in told
    assert "core_hours      none" in told


def test_a_limit_that_is_none_is_refused_by_name(lite: Terminal) -> None:
    assert lite.refused("level", "set", "1", "length=P2D").startswith("limits.length: there is no such limit")
    assert lite.refused("level", "set", "1", "max_length=2") == (
        "limits.max_length: a length is written like P14D or PT4H\n"
    )
    assert lite.refused("level", "set", "1", "packages") == "packages: is written KEY=VALUE\n"


def test_verify_names_each_difference_and_fails(lab: Terminal, look: Look) -> None:
    ctx = look(lab)

    def falsify(amount: int) -> None:
        ctx.db.run(
            "falsify",
            lambda session: session.execute(
                update(Ledger).where(Ledger.kind == "cores").values(amount=amount)
            ),
        )

    falsify(9)
    done = lab.run("verify")
    assert done.exit_code == 1
    assert (
        "physical cores steps by 9 at 2019-12-31T23:00:00+00:00 in the ledger, by 8 in the rows"
        in done.stdout
    )
    report = json.loads(lab.run("verify", "--json").stdout)
    assert report == {"ok": False, "differences": done.stdout.splitlines()}
    falsify(8)
    assert lab.json("verify") == {"ok": True, "differences": []}
