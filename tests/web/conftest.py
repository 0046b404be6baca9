"""A server of the page, and a browser that a test drives."""

import asyncio
import json
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
DRIVER = REPOSITORY / "web" / "tests" / "driver.mjs"


@pytest.fixture(scope="session")
def page_address():
    """The address of the page, served in this process."""
    from aiohttp import web

    from stegano_tf.web import server

    loop, started = asyncio.new_event_loop(), threading.Event()
    runner = web.AppRunner(server.application(), access_log=None)

    async def start():
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        started.set()

    thread = threading.Thread(target=lambda: (loop.create_task(start()), loop.run_forever()))
    thread.start()
    started.wait()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()


class Browser:
    """Chromium, driven through `web/tests/driver.mjs`: each method is one of its actions."""

    def __init__(self, process: subprocess.Popen):
        self._process = process

    def __getattr__(self, name):
        def act(**task):
            self._process.stdin.write(json.dumps({"do": name, **task}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
            assert line, "the browser has gone"
            answer = json.loads(line)
            assert "error" not in answer, answer["error"]
            return answer["result"]

        return act


@pytest.fixture(scope="session")
def browser():
    """A browser; skips without one."""
    chromium = shutil.which("chromium")
    if not shutil.which("node") or not chromium:
        pytest.skip("needs node and Debian's chromium")
    if not (DRIVER.parents[1] / "node_modules" / "playwright-core").is_dir():
        pytest.skip("needs what web/package-lock.json names: npm ci in web/")
    process = subprocess.Popen(
        ["node", str(DRIVER), chromium], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=DRIVER.parent
    )
    yield Browser(process)
    process.stdin.close()
    process.wait(30)
