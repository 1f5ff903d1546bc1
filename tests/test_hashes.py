from hypothesis import given
from hypothesis import strategies as st

from understudy.hashes import HashMap, hash64


@given(st.lists(st.tuples(st.integers(0, 2**64 - 1) | st.integers(2, 5), st.integers(0, 2**32 - 1)), max_size=50))
def test_a_hash_map_is_a_dict_of_hashes(pairs):
    ours, known = HashMap(), {}
    for key, number in pairs:
        assert (key in ours, ours.get(key)) == (key in known, known.get(key)) or key < 2
        if number % 2:
            ours[key] = known[key] = number
        elif key > 1:
            assert ours.setdefault(key, number) == known.setdefault(key, number)
    assert all(ours.get(key) == number for key, number in known.items() if key > 1)


def test_it_grows_and_forgets_nothing():
    ours = HashMap()
    for number in range(20_000):
        ours[hash64(f"text {number}")] = number
    assert len(ours) == 20_000
    assert all(ours.get(hash64(f"text {number}")) == number for number in range(20_000))
    assert hash64("another") not in ours


def test_hashes_are_the_same_everywhere():
    assert hash64("Who?") == 7836532470397246905
