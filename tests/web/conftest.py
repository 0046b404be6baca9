"""A server of the page, and a browser that a test drives."""

import browsing
import pytest


@pytest.fixture(scope="session")
def served():
    """The address of the page, served in this process, and the list of what its server answered."""
    with browsing.serving() as address_and_answers:
        yield address_and_answers


@pytest.fixture(scope="session")
def page_address(served):
    """The address of the page."""
    return served[0]


@pytest.fixture(scope="session")
def browser():
    """A browser; skips without one."""
    if reason := browsing.missing():
        pytest.skip(reason)
    with browsing.browsing() as browser:
        yield browser
