# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An open-loop stream of requests, run in the client container.

A request every 1/rate seconds whatever became of the ones before, each on a connection of its own. Bounded in rate and time;
ends at once when its standard input is closed, so nothing goes on when the test that started it is gone. Every result is one line of
JSON: [start in s since the epoch, duration in s, status (0: no whole answer in time), answering server, what went wrong].
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import sys
import time


async def request(host: str, port: int, path: str, timeout: float) -> tuple[int, str, str]:
    """Ask once; status 0 and the reason for anything but a whole answer in time."""
    writer = None
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            answer = (await reader.read(-1)).decode("utf-8", "replace")
    except (TimeoutError, OSError) as error:
        return 0, "", f"{'connected' if writer else 'not connected'}: {type(error).__name__} {error}".strip()
    finally:
        if writer is not None:
            writer.close()
    status = re.match(r"HTTP/1\.[01] (\d{3}) ", answer)
    server = re.search(r"Greeting from ([^<\s]+)", answer)
    good = status is not None and status[1] == "200"
    return (int(status[1]) if status else 0), (server[1] if server else ""), ("" if good else f"answer: {answer[:200]!r}")


async def one(host: str, port: int, path: str, timeout: float) -> None:
    """Ask once and print the result."""
    started_wall, started = time.time(), time.monotonic()
    outcome = await request(host, port, path, timeout)
    print(json.dumps([round(started_wall, 4), round(time.monotonic() - started, 4), *outcome]), flush=True)


async def main() -> None:
    """Send until the time is over or standard input is closed."""
    host, port, path, rate, seconds, timeout = (
        sys.argv[1],
        int(sys.argv[2]),
        sys.argv[3],
        min(float(sys.argv[4]), 200.0),
        min(float(sys.argv[5]), 900.0),
        float(sys.argv[6]),
    )
    stop = asyncio.Event()

    def lease() -> None:
        if not sys.stdin.buffer.read1(1024):
            stop.set()

    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), lease)
    begin, tasks, sent = time.monotonic(), set(), 0
    while not stop.is_set() and time.monotonic() - begin < seconds:
        task = asyncio.create_task(one(host, port, path, timeout))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        sent += 1
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(stop.wait(), max(0.0, begin + sent / rate - time.monotonic()))
    await asyncio.gather(*tasks)


if __name__ == "__main__":
    asyncio.run(main())
