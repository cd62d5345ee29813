"""A headless Chromium that tests drive: it opens pages, waits for what they show, takes pictures.

It speaks the DevTools protocol over a pipe, so that nothing beside Chromium is needed.
"""

import base64
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
"""The program; empty where none is installed."""
NEEDS_CHROMIUM = pytest.mark.skipif(
    not CHROMIUM, reason="no Chromium here: install Debian's package chromium"
)
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars")


class Browser:
    """A window of a browser; `browser` makes it.

    Args:
        sending, receiving: the ends of the pipes to the browser.
    """

    def __init__(self, sending: int, receiving: int) -> None:
        self._sending, self._receiving = sending, receiving
        self._rest, self._number, self._session = b"", 0, None
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self._ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        self._ask("Page.enable")

    def open(self, address: str) -> None:
        """Opens an address in place of the page."""
        self._ask("Page.navigate", url="about:blank")
        self._ask("Page.navigate", url=address)

    def value(self, script: str) -> Any:
        """The value of a JavaScript expression on the page."""
        found = self._ask("Runtime.evaluate", expression=script, returnByValue=True)
        return found["result"].get("value")

    def text(self) -> str:
        """The text that the page shows."""
        return self.value("document.body ? document.body.innerText : ''") or ""

    def wait(self, *texts: str, seconds: float = 180.0) -> str:
        """Waits until the page shows all texts; what it shows then.

        Raises:
            AssertionError: it does not, within these seconds.
        """
        until = time.monotonic() + seconds
        while True:
            shown = self.text()
            missing = [text for text in texts if text not in shown]
            if not missing:
                return shown
            assert time.monotonic() < until, f"the page never showed {missing}, but: {shown[:2000]}"
            time.sleep(0.3)

    def until(self, script: str, seconds: float = 180.0) -> Any:
        """Waits until a JavaScript expression on the page is true; its value then.

        Raises:
            AssertionError: it is not, within these seconds.
        """
        until = time.monotonic() + seconds
        while not (value := self.value(script)):
            assert time.monotonic() < until, f"never true: {script}; seen: {self.text()[:2000]}"
            time.sleep(0.3)
        return value

    @contextmanager
    def frame(self, seconds: float = 180.0) -> "Iterator[Browser]":
        """The page inside the page, which has its own process; `value` and `text` are of it.

        A frame may be put in place of another while it loads, so one that shows text is taken.

        Raises:
            AssertionError: there is none, within these seconds.
        """
        until, outer = time.monotonic() + seconds, self._session
        try:
            while not self._enter_frame():
                assert time.monotonic() < until, "the page has no frame that shows text"
                time.sleep(0.3)
            yield self
        finally:
            self._session = outer

    def _enter_frame(self) -> bool:
        """Attaches to a frame that shows text; whether there is one."""
        self._session = None
        targets = self._ask("Target.getTargets")["targetInfos"]
        for target in (found["targetId"] for found in targets if found["type"] == "iframe"):
            self._session = None
            with suppress(AssertionError):  # a frame that has gone meanwhile
                attached = self._ask("Target.attachToTarget", targetId=target, flatten=True)
                self._session = attached["sessionId"]
                if self.text().strip():
                    return True
        return False

    def picture(self, path: Path) -> Path:
        """Takes a picture of the window."""
        shot = self._ask("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(shot["data"]))
        return path

    def _ask(self, method: str, **options: Any) -> Any:
        self._number += 1
        message = {"id": self._number, "method": method, "params": options}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._sending, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._answer()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                return answer["result"]

    def _answer(self) -> Any:
        while b"\0" not in self._rest:
            read = os.read(self._receiving, 2**20)
            assert read, "the browser has ended"
            self._rest += read
        first, _, self._rest = self._rest.partition(b"\0")
        return json.loads(first)


@contextmanager
def browser(profile: Path, width: int = 1500, height: int = 900) -> Iterator[Browser]:
    """Starts a browser, and ends it after the block.

    Args:
        profile: a folder for what the browser keeps.
        width, height: pixels of the window.
    """
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    # Chromium reads from its file 3 and writes to its file 4.
    script = f'exec "$0" "$@" 3<&{theirs_in} 4>&{theirs_out}'
    words = [CHROMIUM, *FLAGS, "--remote-debugging-pipe", f"--window-size={width},{height}"]
    process = subprocess.Popen(
        ["bash", "-c", script, *words, f"--user-data-dir={profile}"],
        pass_fds=(theirs_in, theirs_out),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs_in)
    os.close(theirs_out)
    try:
        yield Browser(ours_out, ours_in)
    finally:
        process.terminate()
        process.wait(30)
        os.close(ours_in)
        os.close(ours_out)
