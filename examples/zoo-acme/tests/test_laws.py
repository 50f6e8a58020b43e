"""Everything that this package brings obeys the laws of its kind."""

import pytest

from zoo.testing import Held, laws_of


@pytest.mark.parametrize("law", laws_of("acme"), ids=str)
def test_law(law: Held) -> None:
    law()
