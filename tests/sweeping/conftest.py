"""Storages of a study, including a PostgreSQL server."""

from collections.abc import Iterator

import pytest

from tests.scripts.conftest import SCRIPTS  # noqa: F401  (puts the scripts where they are found)


@pytest.fixture
def storage(request: pytest.FixtureRequest) -> Iterator[str]:
    """``sqlite``, ``journal``, or the URL of an empty PostgreSQL database, by the test's parameter."""
    from with_postgresql import programs, server

    if request.param != "postgresql":
        yield request.param
    elif programs() is None:
        pytest.skip("there is no PostgreSQL server here: apt-get install postgresql")
    else:
        with server() as url:
            yield url
