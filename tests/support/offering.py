"""What a subscriber with contacts is offered to complete what she types."""

import shutil

import pytest

from cn_helper import Person

EVIL = ["$(touch pwned)", "`touch pwned`", ";touch pwned", "a b", "'", "&touch pwned&"]


def words_of(said):
    return [line.split("\t")[0] for line in said.splitlines()]


def offered(person, *words):
    return words_of(person.ok("complete", "--", *words).stdout)


@pytest.fixture(scope="module")
def offering(prepared, tmp_path_factory):
    """Ann with contacts, and files beside them that are none."""
    place = tmp_path_factory.mktemp("offering")
    shutil.copytree(prepared(("ann",)), place, dirs_exist_ok=True)
    ann = Person(place, "ann")
    for name in ("bob", "bobby", "carl.o_e-2"):
        ann.offer(name)
    for name in (*EVIL, ".hidden", "-n"):
        (ann.home / "contacts" / name).write_text("")
    return ann
