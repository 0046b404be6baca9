"""The page in a browser: serves it from this process, and drives Chromium through web/tests/driver.mjs."""

import asyncio
import contextlib
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

DRIVER = Path(__file__).parents[1] / "web" / "tests" / "driver.mjs"


class Answer(NamedTuple):
    """What the server gave: the path that was asked for, and how many bytes went over the wire as its body."""

    path: str
    size: int


@contextlib.contextmanager
def serving() -> Iterator[tuple[str, list[Answer]]]:
    """Yields the address of the page, and a list to which every answer of its server is added."""
    from aiohttp import abc, web  # noqa: PLC0415

    from stegano_tf.web import server  # noqa: PLC0415

    answers: list[Answer] = []

    class Log(abc.AbstractAccessLogger):
        def log(self, request, response, _):
            answers.append(Answer(request.path, response.body_length))

    loop, started = asyncio.new_event_loop(), threading.Event()
    runner = web.AppRunner(server.application(), access_log_class=Log)

    async def start():
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        started.set()

    thread = threading.Thread(target=lambda: (loop.create_task(start()), loop.run_forever()))
    thread.start()
    started.wait()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/", answers
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


def missing() -> str | None:
    """Returns what is missing to drive a browser, or None."""
    if not shutil.which("node") or not shutil.which("chromium"):
        return "needs node and Debian's chromium"
    if not (DRIVER.parents[1] / "node_modules" / "playwright-core").is_dir():
        return "needs what web/package-lock.json names: npm ci in web/"
    return None


class Browser:
    """Chromium; each method is one of the driver's actions.

    Example:
      with browsing() as browser:
          browser.open(url=address, width=360)
          browser.click(selector="#send-form .primary")
    """

    def __init__(self, process: subprocess.Popen):
        self.process = process

    def __getattr__(self, name: str):
        def act(**task) -> Any:
            self.process.stdin.write(json.dumps({"do": name, **task}) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
            assert line, "the browser has gone"
            answer = json.loads(line)
            assert "error" not in answer, answer["error"]
            return answer["result"]

        return act


@contextlib.contextmanager
def browsing() -> Iterator[Browser]:
    """Yields a browser; `missing` must be None."""
    command = ["node", str(DRIVER), shutil.which("chromium")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Browser(process)
        process.stdin.close()


class Page:
    """What people do on the page: choose files and options, press the button, save what comes."""

    def __init__(self, browser: Browser):
        self.browser = browser

    def choose(self, cover, secret) -> None:
        self._put("cover", cover)
        self._put("secret", secret)

    def send(self, cover, secret, sound=None, *, seconds: float = 60, **options) -> None:
        """Makes a sound with options of the form, and saves it as `sound`."""
        self.choose(cover, secret)
        self._fill("#send-form", options)
        self._finish("#send-form .primary", "#sent h3", seconds)
        if sound:
            self.browser.download(selector="#sent .primary", path=str(sound))

    def hide(self, cover, file, stego, *, seconds: float = 60, **options) -> None:
        """Hides a file in a picture with options of the form, and saves it as `stego`."""
        self.browser.evaluate(code="location.hash = 'hide'")
        self._put("holder", cover)
        self._put("content", file)
        self._fill("#hide-form", options)
        self._finish("#hide-form .primary", "#held h3", seconds)
        self.browser.download(selector="#held .primary", path=str(stego))

    def receive(self, sound, secret=None, *, seconds: float = 60, **key) -> None:
        """Receives a sound or a picture with what opens it, and saves the secret as the file `secret`."""
        self.browser.evaluate(code="location.hash = 'receive'")
        self._put("sound", sound)
        self._fill("#receive-form", key)
        self._finish("#receive-form .primary", "#received h3", seconds)
        if secret:
            self.browser.download(selector="#received .buttons button", path=str(secret))

    def error(self) -> str | None:
        """Returns what the page complains of."""
        if self.browser.evaluate(code="document.querySelector('#error').hidden"):
            return None
        return self.browser.text(selector="#error")

    def _put(self, name: str, file) -> None:
        """Chooses a file, and waits until the page has looked at it."""
        self.browser.files(selector=f"#file-{name}", paths=[str(file)])
        self.browser.wait(selector=f"[data-well={name}] .what:has-text('{Path(file).name}')")

    def _fill(self, form: str, values: dict) -> None:
        self.browser.evaluate(code=f"document.querySelector('{form} details').open = true")
        for name, value in values.items():
            field = f"{form} [name={name}]"
            if name in ("carrier", "identity"):
                self.browser.files(selector=field, paths=[str(value)])
            elif name in ("passphrase", "recipients"):
                self.browser.fill(selector=field, text=value)
            elif value is True:
                self.browser.check(selector=field)
            else:
                self.browser.select(selector=field, value=value)

    def _finish(self, button: str, result: str, seconds: float) -> None:
        self.browser.click(selector=button)
        self.browser.wait(selector=f"{result}, #error:not([hidden])", seconds=seconds)
        assert self.error() is None, self.error()
