"""Pages of a platform that is running, over one connection."""

import http.client
import statistics
import sys
from collections.abc import Iterator
from functools import partial

from scripts.bench.rows import Row
from scripts.bench.setting import Setting
from scripts.bench.timing import wall_seconds

PAGES = ("/", "/competitions/photo-to-painting/", "/api/v1/competitions/", "/static/site.css")


def measure(setting: Setting) -> Iterator[Row]:
    """Measure each page often, by the clock on the wall."""
    tries = setting.choose(200, quick=20)
    connection = http.client.HTTPConnection("127.0.0.1", setting.port, timeout=30)

    def get(path: str) -> int:
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        return answer.status

    for path in PAGES:
        try:
            status = get(path)
        except OSError:
            print(
                f"  nothing answers at 127.0.0.1:{setting.port}: start `make demo` in another "
                "terminal first",
                file=sys.stderr,
            )
            return
        if status != 200:
            print(f"  {path}: status {status}", file=sys.stderr)
            continue
        times = sorted(wall_seconds(partial(get, path)) for _ in range(tries))
        yield Row(path, 1000 * statistics.median(times), "ms")
        yield Row("  99 of 100 within", 1000 * times[-max(1, tries // 100) - 1], "ms")
