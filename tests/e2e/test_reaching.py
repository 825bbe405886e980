"""How the server is reached: which address first, both families, proxies, names that DNS knows."""

import contextlib
import json

import pytest

from ctl_helper import BUILD, needs_root
from live import World, free_port
from reaching import Dns, HangsUp, HttpProxy, Socks5, lead, silent, under_names

PROXIES = [Socks5, HttpProxy]


@contextlib.contextmanager
def kept(person):
    """The fingerprint, preferences and memory are as before afterwards."""
    fingerprint = (person.home / "fingerprint").read_bytes()
    yield person
    (person.home / "fingerprint").write_bytes(fingerprint)
    for name in ("config", "last-address"):
        (person.home / name).unlink(missing_ok=True)


@pytest.fixture
def ann(world):
    with kept(world.ann):
        yield world.ann


def start(world, *words, env=None, under=(), **options):
    """`cyphernet WORDS...` of Ann, under another program if wanted."""
    env = {"CYPHERNET_HOME": str(world.ann.home), **(env or {})}
    return world.run_program([*under, BUILD / "cyphernet", *words], env=env, cwd=world.tmp, **options)


def called(world, env=None, under=()):
    """Ann calls Bob, who is there without ado; what she says."""
    bob = world.start(world.bob, "pipe", "ann", stdin=b"from bob")
    ann = start(world, "pipe", "bob", "-v", "--wait", "30", env=env, under=under, stdin=b"from ann")
    ann.end(0)
    bob.end(0)
    assert (ann.got(), bob.got()) == (b"from bob", b"from ann")
    return ann.said()


def fails(world, code, env=None, under=()):
    """What Ann says, who does not get as far as Bob."""
    ann = start(world, "pipe", "bob", "--wait", "20", env=env, under=under)
    ann.end(code)
    assert ann.got() == b""
    assert ann.said().startswith("cyphernet: error: ")
    return ann.said()


# --- several addresses


def test_addresses_are_tried_in_their_order(world, ann):
    with HangsUp() as first, HangsUp() as second:
        lead(ann, f"127.0.0.1:{free_port()}", f"127.0.0.1:{first.port}", f"127.0.0.1:{world.port}",
             f"127.0.0.1:{second.port}")
        assert f"the server: 127.0.0.1:{world.port}\n" in called(world)
        assert len(first.asked) == 1 and not second.asked


def test_the_one_that_worked_is_the_first_next_time(world, ann):
    with HangsUp() as false:
        lead(ann, f"127.0.0.1:{false.port}", f"127.0.0.1:{world.port}")
        called(world)
        assert (ann.home / "last-address").read_text() == f"127.0.0.1:{world.port}\n"
        assert len(false.asked) == 1
        called(world)
        assert len(false.asked) == 1


def test_one_that_does_not_work_any_more_is_left(world, ann):
    gone = f"127.0.0.1:{free_port()}"
    lead(ann, f"127.0.0.1:{world.port}", gone)
    (ann.home / "last-address").write_text(f"{gone}\n")
    called(world)
    assert (ann.home / "last-address").read_text() == f"127.0.0.1:{world.port}\n"


@pytest.mark.parametrize("text", [b"", b"\n", b"\0\xff\n", b"127.0.0.1:1", b"x" * 100000])
def test_a_memory_that_makes_no_sense_does_no_harm(world, ann, text):
    lead(ann, f"127.0.0.1:{free_port()}", f"127.0.0.1:{world.port}")
    (ann.home / "last-address").write_bytes(text)
    called(world)


def test_nothing_is_remembered_of_one_address(world, ann):
    called(world)
    assert not (ann.home / "last-address").exists()


def test_memory_is_state_where_there_is_no_one_place(world, ann, tmp_path):
    for name in ("data", "config", "state"):
        (tmp_path / name).mkdir(mode=0o700)
    (tmp_path / "data" / "cyphernet").symlink_to(ann.home)
    lead(ann, f"127.0.0.1:{free_port()}", f"127.0.0.1:{world.port}")
    called(world, {"CYPHERNET_HOME": "", "XDG_DATA_HOME": str(tmp_path / "data"),
                   "XDG_CONFIG_HOME": str(tmp_path / "config"), "XDG_STATE_HOME": str(tmp_path / "state")})
    assert (tmp_path / "state/cyphernet/last-address").read_text() == f"127.0.0.1:{world.port}\n"
    assert not (ann.home / "last-address").exists()


def test_one_that_says_nothing_does_not_hold_up_the_next(world, ann):
    """It would take 10 s, and the call gives up after 5."""
    with silent() as port:
        lead(ann, f"127.0.0.1:{port}", f"127.0.0.1:{world.port}")
        bob = world.start(world.bob, "pipe", "ann", "-n")
        world.start(ann, "pipe", "bob", "-n", wait=5).end(0)
        bob.end(0)


def test_all_that_hang_up_are_tried_before_it_is_said(world, ann):
    with HangsUp() as one, HangsUp() as other:
        lead(ann, f"127.0.0.1:{one.port}", f"127.0.0.1:{other.port}")
        said = fails(world, 4)
        assert f"127.0.0.1:{other.port}: the server hung up" in said
        assert (len(one.asked), len(other.asked)) == (2, 2)  # once more, lest a gate was just being replaced


def test_none_that_can_be_reached(world, ann):
    ports = free_port(), free_port()
    lead(ann, *(f"127.0.0.1:{port}" for port in ports))
    assert f"127.0.0.1:{ports[1]}: Connection refused" in fails(world, 4)


# --- families


@pytest.fixture(scope="module")
def world6(tmp_path_factory):
    """A server of ::1 alone."""
    world = World(tmp_path_factory.mktemp("six"), host="[::1]")
    world.serve()
    world.ann, world.bob = world.pair()
    yield world
    world.close()


def test_ipv6_alone(world6):
    called(world6)


def test_a_name(world, ann):
    lead(ann, f"localhost:{world.port}")
    called(world)


@needs_root
def test_a_name_of_both_families_of_which_one_is_there(world, world6, tmp_path):
    names = under_names(tmp_path, "::1 both.test\n127.0.0.1 both.test\n")
    for one in (world, world6):
        with kept(one.ann):
            lead(one.ann, f"both.test:{one.port}")
            called(one, under=names)


# --- proxies


@pytest.mark.parametrize("kind", PROXIES)
@pytest.mark.parametrize("variable", ["all_proxy", "ALL_PROXY", "https_proxy", "HTTPS_PROXY"])
def test_through_a_proxy_of_the_environment(world, ann, kind, variable):
    with kind() as proxy:
        lead(ann, f"server.test:{world.port}")
        said = called(world, {variable: proxy.url()})
        assert f"the server: server.test:{world.port} through {proxy.url()}\n" in said
        assert proxy.asked == [("server.test", world.port)]


@pytest.mark.parametrize("kind", PROXIES)
def test_a_proxy_that_answers_octet_by_octet(world, ann, kind):
    with kind(slowly=True) as proxy:
        lead(ann, f"server.test:{world.port}")
        called(world, {"ALL_PROXY": proxy.url()})


@pytest.mark.parametrize("kind", PROXIES)
def test_a_proxy_with_a_name_of_its_own(world, ann, kind):
    with kind() as proxy:
        lead(ann, f"server.test:{world.port}")
        called(world, {"ALL_PROXY": proxy.url().replace("127.0.0.1", "localhost")})
        assert proxy.asked == [("server.test", world.port)]


def preferences(ann, text, mode=0o600):
    (ann.home / "config").write_text(text)
    (ann.home / "config").chmod(mode)


@pytest.mark.parametrize("kind", PROXIES)
def test_with_a_password_of_the_preferences(world, ann, kind):
    with kind(user="me:s@ cret%") as proxy:
        lead(ann, f"server.test:{world.port}")
        preferences(ann, f"proxy = {proxy.url().replace('//', '//me:s%40%20cret%25@')}\n")
        called(world, {"ALL_PROXY": "http://127.0.0.1:1"})  # which they take precedence over
        assert proxy.asked == [("server.test", world.port)]


@pytest.mark.parametrize("kind", PROXIES)
def test_a_wrong_password_and_none(world, ann, kind):
    with kind(user="me:secret") as proxy:
        lead(ann, f"server.test:{world.port}")
        said = fails(world, 4, {"ALL_PROXY": proxy.url()})
        assert f"server.test:{world.port} through {proxy.url()}: it wants a user and a password" in said
        assert "hint: `proxy` in the preferences" in said
        preferences(ann, f"proxy = {proxy.url().replace('//', '//me:wr0ng@')}\n")
        said = fails(world, 4)
        assert "it does not take our user and password" in said and "wr0ng" not in said
        assert not proxy.asked


def test_a_password_that_others_may_read(world, ann):
    preferences(ann, "proxy = http://me:secret@127.0.0.1:1\n", 0o640)
    said = fails(world, 1)
    assert "chmod 600" in said and "secret@" not in said
    assert "chmod 600" in ann.run("doctor").stdout


@pytest.mark.parametrize("url", ["http://me:s3cret@127.0.0.1:1", "socks5h://s3cret@127.0.0.1:1"])
def test_no_password_of_the_environment(world, ann, url):
    said = fails(world, 1, {"HTTPS_PROXY": url})
    assert "HTTPS_PROXY" in said and "preferences" in said and "s3cret" not in said


@pytest.mark.parametrize("url", ["https://127.0.0.1:1", "socks4://127.0.0.1:1", "http://", "http://a:b:c", "x" * 9000])
def test_a_proxy_that_is_not_understood_is_not_passed_by(world, ann, url):
    said = fails(world, 1, {"ALL_PROXY": url})
    assert "ALL_PROXY: not understood" in said and "hint: cyphernet(1)" in said
    if len(url) < 150:
        preferences(ann, f"proxy = {url}\n")
        assert "config, line 1: not understood" in fails(world, 1)


def test_two_proxies_in_the_preferences(world, ann):
    preferences(ann, "proxy = none\nproxy = none\n")
    assert "config, line 2" in fails(world, 1)


@pytest.mark.parametrize("kind, refusal, said", [
    (Socks5, b"\5\2", "its rules do not allow it"),
    (Socks5, b"\5\4", "host unreachable"),
    (Socks5, b"\5\1\0\1\0\0\0\0\0\0", "general failure"),
    (Socks5, b"\5\0\0\1\0", "it hung up"),
    (Socks5, b"\5\0\0\1\0\0\0\0\0\0more", "it said more than an answer"),
    (Socks5, b"HTTP/1.1", "its answer makes no sense"),
    (HttpProxy, b"HTTP/1.1 403 Forbidden\r\n\r\n", "its rules do not allow it"),
    (HttpProxy, b"HTTP/1.1 502 Bad Gateway\r\n\r\n", "it answers 502"),
    (HttpProxy, b"HTTP/1.1 200 OK\r\n", "it hung up"),
    (HttpProxy, b"\5\1", "it is no HTTP proxy"),
    (HttpProxy, b"HTTP/1.1 200 OK\r\nX: " + b"y" * 20000, "its answer does not end"),
])
def test_a_proxy_that_does_not_connect_us(world, ann, kind, refusal, said):
    with kind(refusal=refusal) as proxy:
        lead(ann, f"server.test:{world.port}")
        assert f"server.test:{world.port} through {proxy.url()}: {said}" in fails(world, 4, {"ALL_PROXY": proxy.url()})


@pytest.mark.parametrize("scheme", ["http", "socks5h"])
def test_a_proxy_that_is_not_there(world, ann, scheme):
    url = f"{scheme}://127.0.0.1:{free_port()}"
    lead(ann, f"server.test:{world.port}")
    said = fails(world, 4, {"ALL_PROXY": url})
    assert f"server.test:{world.port} through {url}: Connection refused" in said
    assert "hint: `proxy` in the preferences, or else ALL_PROXY" in said


@pytest.mark.parametrize("kind", PROXIES)
@pytest.mark.parametrize("spared", ["*", "test", ".TEST", "other,server.test"])
def test_what_no_proxy_spares_is_looked_up_here(world, ann, kind, spared):
    with kind() as proxy:
        lead(ann, f"server.test:{world.port}")
        said = fails(world, 4, {"ALL_PROXY": proxy.url(), "NO_PROXY": spared})
        assert f"server.test:{world.port}: " in said and "through" not in said
        assert not proxy.lines


@needs_root
def test_what_no_proxy_spares_is_reached_from_here(world, ann, tmp_path):
    with Socks5() as proxy:
        lead(ann, f"server.test:{world.port}")
        names = under_names(tmp_path, "127.0.0.1 server.test\n")
        called(world, {"ALL_PROXY": proxy.url(), "no_proxy": "other, .test"}, under=names)
        assert not proxy.lines


@pytest.mark.parametrize("kind", PROXIES)
def test_what_it_does_not_spare_is_not(world, ann, kind):
    with kind() as proxy:
        lead(ann, f"server.test:{world.port}")
        called(world, {"ALL_PROXY": proxy.url(), "NO_PROXY": "erver.test,localhost,0.0.0.0/0"})


def test_this_machine_needs_no_proxy(world, ann):
    called(world, {"ALL_PROXY": "socks5h://127.0.0.1:1"})


def test_none_in_spite_of_the_environment(world, ann):
    with Socks5() as proxy:
        lead(ann, f"server.test:{world.port}")
        preferences(ann, "proxy = none\n")
        fails(world, 4, {"ALL_PROXY": proxy.url()})
        assert not proxy.lines


def test_one_address_behind_the_proxy_and_one_here(world, ann):
    with Socks5(refusal=b"\5\4") as proxy:
        lead(ann, f"server.test:{world.port}", f"127.0.0.1:{world.port}")
        called(world, {"ALL_PROXY": proxy.url()})
        assert proxy.lines


@pytest.mark.parametrize("kind", PROXIES)
def test_doctor_tells_of_the_proxy(world, ann, kind):
    with kind() as proxy:
        lead(ann, f"server.test:{world.port}")
        good = ann.run("doctor", "--json", env={"ALL_PROXY": proxy.url()})
        rows = {row["check"]: row for row in map(json.loads, good.stdout.splitlines())}
        assert good.returncode == 0 and rows["proxy"]["text"] == proxy.url() and rows["server"]["good"]
    bad = ann.run("doctor", "--json", env={"ALL_PROXY": proxy.url()})
    rows = {row["check"]: row for row in map(json.loads, bad.stdout.splitlines())}
    assert bad.returncode == 4 and "Connection refused" in rows["server"]["text"]
    assert f"through {proxy.url()}" in rows["server"]["text"] and "ALL_PROXY" in rows["server"]["remedy"]


# --- services


def test_a_service_behind_a_proxy_is_passed_over(world, ann):
    with Socks5() as proxy:
        lead(ann, "srv:server.test")
        said = fails(world, 4, {"ALL_PROXY": proxy.url()})
        assert f"srv:server.test through {proxy.url()}: DNS is not asked where there is a proxy" in said
        assert not proxy.lines


def test_what_init_was_told_of_a_service_is_in_the_fingerprint(own, tmp_path):
    own.ctl.ok("move", "--public", "srv:server.test", "--public", f"127.0.0.1:{own.port}")
    own.serve()
    own.ann, own.bob = own.pair()
    called(own, {"ALL_PROXY": "socks5h://127.0.0.1:1"})


@needs_root
def test_a_service_is_where_dns_says(world, ann, tmp_path):
    dns = Dns({"_cyphernet._tcp.server.test": [(20, 1, world.port, "late.test"), (10, 1, free_port(), "early.test")]})
    try:
        names = under_names(tmp_path, "127.0.0.1 late.test\n127.0.0.1 early.test\n", dns)
        lead(ann, "srv:server.test")
        called(world, under=names)
        assert "_cyphernet._tcp.server.test" in dns.asked
    finally:
        dns.close()


@needs_root
@pytest.mark.parametrize("records, said", [
    ([], "there are no SRV records of _cyphernet._tcp for it"),
    ([(1, 1, 7, "")], "DNS says that there is no such service"),
    ([(1, 1, 7, "nowhere.test")], "Name or service not known"),
])
def test_a_service_that_is_not_there(world, ann, tmp_path, records, said):
    dns = Dns({"_cyphernet._tcp.server.test": records})
    try:
        lead(ann, "srv:server.test")
        assert f"srv:server.test: {said}" in fails(world, 4, under=under_names(tmp_path, "", dns))
    finally:
        dns.close()
