"""Settings for all tests."""

import os

import hypothesis

# Machines that run tests are shared: how long one example takes says nothing. The same examples everywhere, every time.
hypothesis.settings.register_profile("shared", deadline=None, derandomize=True)
hypothesis.settings.load_profile("shared")

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
