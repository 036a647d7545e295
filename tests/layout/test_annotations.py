"""SceneEval's predicates as ours: what they mean on a room that is known, what is left out, what is refused."""

import csv

import pytest

from layout.adapters.annotations import COLUMNS, read_annotations
from layout.relations import satisfied
from layout.schema import CountSpec, RelationSpec

ROW = {
    "ID": "7",
    "Description": "A bedroom with a bed, two nightstands beside it, a lamp shaped like a swan and a chest.",
    "ObjCount": "eq,1,bed; eq,2,nightstand; ge,1,office_desk; eq,1,swan_lamp",
    "ObjAttr": "eq,1,bed,large",
    "OORel": "eq,1,left,0,bed,nightstand; eq,2,next_to,-1,bed,nightstand; eq,1,on,0,nightstand,table_lamp; eq,1,on,0,desk,swan_lamp; "
    "eq,1,long_side,0,bed,nightstand; eq,1,on,3,desk,mug",
    "OARel": "eq,1,against,bed,wall; eq,1,under,desk,window; eq,1,in,bed,bedroom",
    "SceneScope": "single_room",
}


@pytest.fixture
def write(tmp_path):
    def to(*rows, columns=COLUMNS):
        path = tmp_path / "annotations.csv"
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, columns, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)
        return path

    return to


def test_a_row_is_read_as_far_as_it_can_be_measured(write):
    (row,) = read_annotations(write(ROW))
    assert (row.id, row.room_type, row.needs_window) == ("7", "bedroom", True)
    assert row.asked == {"count": 4, "attribute": 1, "object-object": 6, "object-room": 3}
    assert row.covered == {"count": 3, "attribute": 0, "object-object": 3, "object-room": 2}
    assert row.spec.counts == (
        CountSpec(category="double_bed", n=1),
        CountSpec(category="nightstand", n=2),
        CountSpec(category="desk", n=1, quantifier="ge"),
    )
    assert row.objects == 4
    left = RelationSpec(
        relation="left_of", subject="nightstand", references=("double_bed",), n=1, quantifier="eq"
    )
    assert row.spec.relations[0] == left


def test_the_reference_of_a_relation_is_its_anchor(write, bedroom):
    """One nightstand is left of the bed, both are next to it, one carries the lamp, the bed is at a wall, no desk is at the window."""
    (row,) = read_annotations(write(ROW))
    assert [satisfied(bedroom, r) for r in row.spec.relations] == [True, True, True, True, False]


def test_what_surrounds_is_the_ring_around_its_anchor(write):
    told = ROW | {
        "OORel": "eq,1,surround,0,dining_table,dining_chair:0,dining_chair:1,dining_chair:2",
        "OARel": "",
    }
    (row,) = read_annotations(write(told))
    (ring,) = row.spec.relations
    assert (ring.subject, ring.references) == ("dining_table", ("dining_chair",) * 3)


def test_the_same_noun_means_what_the_room_has(write):
    bath = ROW | {"Description": "In a bathroom stands a vanity.", "ObjCount": "eq,1,vanity"}
    bed = ROW | {"ObjCount": "eq,1,vanity"}
    found = [row.spec.counts[0].category for row in read_annotations(write(bath, bed))]
    assert found == ["vanity", "vanity_table"]


def test_only_single_rooms_of_the_four_types_that_say_so_at_once_are_read(write):
    others = (
        ROW | {"Description": "An office with a desk.", "ID": "8"},
        ROW | {"SceneScope": "multi_room", "ID": "9"},
        ROW | {"Description": "A gym with mats and weights, mirrors all around it, which was once a bedroom.", "ID": "10"},
    )  # fmt: skip
    assert [row.id for row in read_annotations(write(*others, ROW))] == ["7"]
    with pytest.raises(ValueError, match="none of its 3 rows says"):
        read_annotations(write(*others))


def test_other_columns_and_other_predicates_are_refused(write):
    with pytest.raises(ValueError, match="the columns OORel, SceneScope are missing"):
        read_annotations(
            write(ROW, columns=[name for name in COLUMNS if name not in ("OORel", "SceneScope")])
        )
    with pytest.raises(ValueError, match="row 7, ObjCount: 'some,bed' is no predicate"):
        read_annotations(write(ROW | {"ObjCount": "some,bed"}))
