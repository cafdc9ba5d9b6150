"""What all tests share. Its being here puts this folder on the path, so that tests find `builders`."""

from fidelity.plugin import pytest_addoption, pytest_configure, pytest_sessionfinish

__all__ = ["pytest_addoption", "pytest_configure", "pytest_sessionfinish"]
