from hypothesis import given
from hypothesis import strategies as st

from recsys.index.postings import Postings
from recsys.types import ItemRow


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 5))))
def test_adding_and_removing_agree_with_a_plain_dict(steps):
    postings: Postings[str] = Postings()
    plain: dict[str, dict[int, float]] = {}
    for weight, (value, row) in enumerate(steps):
        held = plain.setdefault(value, {})
        if row in held:
            del held[row]
            postings.remove(value, ItemRow(row))
        else:
            held[row] = float(weight)
            postings.add(value, ItemRow(row), float(weight))

    for value, held in plain.items():
        assert dict(zip(postings.rows(value).tolist(), postings.weights(value).tolist(), strict=True)) == held
        assert postings.count(value) == len(held)
    assert set(postings) == {value for value, held in plain.items() if held}
