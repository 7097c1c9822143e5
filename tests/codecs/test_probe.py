from tests.common import X
def test_a():
    assert X
