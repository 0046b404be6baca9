"""A server of the page, and a browser that a test drives."""

import browsing
import pytest


@pytest.fixture(scope="session")
def page_address():
    """The address of the page, served in this process."""
    with browsing.serving() as (address, _):
        yield address


@pytest.fixture(scope="session")
def browser():
    """A browser; skips without one."""
    if reason := browsing.missing():
        pytest.skip(reason)
    with browsing.browsing() as browser:
        yield browser
