import numpy as np

from recsys.ids import ItemIds


def test_a_row_stays_its_items_for_ever():
    ids = ItemIds(["boot", "lamp"])

    assert (ids.add("boot"), ids.add("chair"), ids.add("chair")) == (0, 2, 2)
    assert [ids[row] for row in range(len(ids))] == ["boot", "lamp", "chair"] == list(ids)


def test_unknown_items_have_no_row():
    ids = ItemIds(["boot", "lamp"])

    assert ids.row("sofa") is None
    assert "sofa" not in ids
    assert ids.rows(["lamp", "sofa", "boot"]).tolist() == [1, 0]
    assert ids.rows([]).dtype == np.intp
