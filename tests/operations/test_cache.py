"""The shared cache is a help and no need: without Redis the site goes on."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from arena import cache
from arena.cache import ForgivingRedisCache
from tests.services import private_redis


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "PAUSE_S", 0.0)


def make_cache(url: str) -> Any:
    options = {"socket_connect_timeout": 1, "socket_timeout": 2}
    return ForgivingRedisCache(url, {"OPTIONS": options})


@pytest.fixture(scope="module")
def own_redis() -> Iterator[str]:
    with private_redis() as url:
        yield url


def test_it_keeps_what_it_is_given(own_redis: str) -> None:
    kept = make_cache(own_redis)
    kept.set("a", 1)
    assert kept.get("a") == 1
    assert not kept.add("a", 2)
    assert kept.incr("a") == 2
    assert kept.get_many(["a", "b"]) == {"a": 2}
    assert kept.delete("a")
    assert kept.get("a", "none") == "none"


def test_without_redis_it_answers_as_if_it_kept_nothing(tmp_path: Path) -> None:
    kept = make_cache(f"unix://{tmp_path}/nobody.sock")
    kept.set("a", 1)
    kept.set_many({"b": 1})
    kept.delete_many(["b"])
    assert kept.get("a") is None
    assert kept.get("a", "none") == "none"
    assert kept.add("a", 2)
    assert kept.incr("a") == 1
    assert kept.get_many(["a"]) == {}
    assert not kept.has_key("a")
    assert not kept.delete("a")
    assert not kept.touch("a")
    assert kept.get_or_set("a", lambda: 7) == 7


def test_it_is_asked_again_only_after_a_pause(
    tmp_path: Path, own_redis: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "PAUSE_S", 3600.0)
    monkeypatch.setattr(ForgivingRedisCache, "resumes_at", 0.0)
    address = tmp_path / "later.sock"
    kept = make_cache(f"unix://{address}")
    kept.set("a", 1)
    address.symlink_to(own_redis.removeprefix("unix://"))
    kept.set("a", 1)
    assert kept.get("a") is None
    monkeypatch.setattr(ForgivingRedisCache, "resumes_at", 0.0)
    kept.set("a", 1)
    assert kept.get("a") == 1
