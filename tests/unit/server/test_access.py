"""The token that is made, and when a server may be started at all."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from glink.config import Config, load_config
from glink.errors import InvalidInput, UsageError
from glink.server.access import guard_of, token_in, tokens_of
from glink.server.auth import digest_of

NAMED = f"tokens: [{{name: ana, sha256: {digest_of('hers')}, may: [read]}}]\n"


def config_of(folder: Path, text: str, **environ: str) -> Config:
    (folder / "glink-config.yaml").write_text(text or "engine: e\n")
    return load_config(None, environ=environ, folder=folder)


def test_a_token_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    """0600, and the same at every start."""
    made = token_in(tmp_path / "token")
    assert len(made) == 43
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600
    assert token_in(tmp_path / "token") == made
    assert os.listdir(tmp_path) == ["token"]


def test_whoever_makes_it_at_once_gets_the_same(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: token_in(tmp_path / "token"), range(32)))) == 1
    assert os.listdir(tmp_path) == ["token"]


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o620, 0o602])
def test_a_token_that_others_could_have_seen_is_refused(tmp_path: Path, mode: int) -> None:
    token_in(tmp_path / "token")
    (tmp_path / "token").chmod(mode)
    with pytest.raises(UsageError, match="chmod 600 it, or delete it"):
        token_in(tmp_path / "token")


@pytest.mark.parametrize("content", [b"", b"short\n", b"x" * 43, b"x" * 42 + b"\xff\n", b"x" * 43 + b"\n\n"])
def test_a_file_that_holds_something_else_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "token").write_bytes(content)
    (tmp_path / "token").chmod(0o600)
    with pytest.raises(UsageError, match="delete it, and a new one is made"):
        token_in(tmp_path / "token")


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    token_in(tmp_path / "elsewhere")
    (tmp_path / "token").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="must be a file of yours"):
        token_in(tmp_path / "token")


@pytest.mark.parametrize(
    ("server", "environ", "said"),
    [
        ('{host: "0.0.0.0"}', {}, "has no token of your own: set GLINK_API_TOKEN"),
        ('{host: "0.0.0.0", behind_proxy: true}', {}, "has no token of your own"),
        ('{host: "0.0.0.0"}', {"GLINK_API_TOKEN": "mine"}, "has no TLS: put a proxy that has it in front"),
        ('{host: "::"}', {"GLINK_API_TOKEN": "mine"}, "has no TLS"),
        ("{host: glink.example}", {"GLINK_API_TOKEN": "mine"}, "has no TLS"),
        ('{host: "10.0.0.1", auth: none, behind_proxy: true}', {"GLINK_API_TOKEN": "mine"}, "is for 127.0.0.1 alone"),
    ],
)
def test_a_server_that_others_reach_needs_a_token_and_a_proxy(
    tmp_path: Path, server: str, environ: dict[str, str], said: str
) -> None:
    """Refused before anything listens, with what to do."""
    config = config_of(tmp_path, f"server: {server}\n", **environ)
    with pytest.raises(UsageError, match=said):
        tokens_of(config, tmp_path / "token")
    assert not (tmp_path / "token").exists()


@pytest.mark.parametrize(
    ("text", "environ", "known"),
    [
        ("", {}, "made"),
        ("", {"GLINK_API_TOKEN": "mine"}, "mine"),
        ('server: {host: "::1"}\n', {}, "made"),
        ('server: {host: "0.0.0.0", behind_proxy: true}\n', {"GLINK_API_TOKEN": "mine"}, "mine"),
        ('server: {host: "0.0.0.0", behind_proxy: true}\n' + NAMED, {}, "hers"),
        (NAMED, {}, "hers"),
        ("server: {auth: none}\n", {}, "anything"),
    ],
)
def test_otherwise_it_starts(tmp_path: Path, text: str, environ: dict[str, str], known: str) -> None:
    """With the operator's own token the one in the file is not even made."""
    tokens = tokens_of(config_of(tmp_path, text, **environ), tmp_path / "token")
    shown = token_in(tmp_path / "token") if known == "made" else known
    assert tokens.caller({"HTTP_X_API_KEY": shown}) is not None
    if known == "mine":
        assert not (tmp_path / "token").exists()


def test_the_names_of_the_configuration_are_hosts(tmp_path: Path) -> None:
    guard = guard_of(config_of(tmp_path, "server: {hosts: [Glink.Example]}\n"))
    guard.check({"REQUEST_METHOD": "GET", "REQUEST_URI": "/", "HTTP_HOST": "glink.example"})


def test_the_own_token_comes_from_a_file_too(tmp_path: Path) -> None:
    """Relative to the configuration; its value is a secret like the variable's."""
    (tmp_path / "t").write_text("from-the-file\n")
    config = config_of(tmp_path, "", GLINK_API_TOKEN_FILE="t")
    assert config.api_token == "from-the-file"
    assert config.secrets == ("from-the-file",)
    assert "from-the-file" not in repr(config)
    assert config_of(tmp_path, "", GLINK_API_TOKEN="direct", GLINK_API_TOKEN_FILE="t").api_token == "direct"


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"GLINK_API_TOKEN": "a b"}, "GLINK_API_TOKEN: is not a token"),
        ({"GLINK_API_TOKEN": "schl\xfcssel"}, "GLINK_API_TOKEN: is not a token"),
        ({"GLINK_API_TOKEN": "x" * 513}, "GLINK_API_TOKEN: is not a token"),
        ({"GLINK_API_TOKEN_FILE": "nothing"}, "GLINK_API_TOKEN_FILE: cannot be read"),
        ({"GLINK_API_TOKEN_FILE": "empty"}, "GLINK_API_TOKEN_FILE: names an empty file"),
        ({"GLINK_API_TOKEN_FILE": "big"}, "GLINK_API_TOKEN_FILE: cannot be read"),
        ({"GLINK_API_TOKEN_FILE": "."}, "GLINK_API_TOKEN_FILE: cannot be read"),
    ],
)
def test_an_own_token_that_is_none_is_refused(tmp_path: Path, environ: dict[str, str], said: str) -> None:
    """Its value is not repeated."""
    (tmp_path / "empty").touch()
    (tmp_path / "big").write_bytes(b"x" * 10_000)
    with pytest.raises(InvalidInput, match=said) as caught:
        config_of(tmp_path, "", **environ)
    assert "xxxx" not in str(caught.value)


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        ("{name: a, sha256: x, may: [read]}", "tokens[0].sha256"),
        ("{name: a, sha256: D, may: []}", "tokens[0].may"),
        (
            "{name: a, sha256: D, may: [approve]}",
            "is nothing that a token may do; write read, write, control or work:AGENT",
        ),
        ("{name: a, sha256: D, may: [open]}", "is nothing that a token may do"),
        ("{name: a, sha256: D, may: [work]}", "is nothing that a token may do"),
        ("{name: a, sha256: D, may: ['work:']}", "is nothing that a token may do"),
        ("{name: a, sha256: D, may: ['read:x']}", "is nothing that a token may do"),
        ("{name: a, sha256: D, may: [read], token: t}", "unknown key"),
        ("{name: a, may: [read]}", "is missing"),
        (
            "{name: a, sha256: D, may: [read]}, {name: a, sha256: E, may: [read]}",
            "tokens[1].name: is that of an earlier token",
        ),
        (
            "{name: a, sha256: D, may: [read]}, {name: b, sha256: D, may: [read]}",
            "tokens[1].sha256: is that of an earlier",
        ),
    ],
)
def test_a_token_that_is_written_wrong_is_refused(tmp_path: Path, tokens: str, said: str) -> None:
    written = tokens.replace("D", "d" * 64).replace("E", "e" * 64)
    with pytest.raises(InvalidInput) as caught:
        config_of(tmp_path, f"tokens: [{written}]\n")
    assert said in str(caught.value)


def test_tls_is_the_proxys(tmp_path: Path) -> None:
    """A key that would do nothing is unknown."""
    with pytest.raises(InvalidInput, match=r"server\.tls: unknown key"):
        config_of(tmp_path, "server: {tls: {cert: a, key: b}}\n")
