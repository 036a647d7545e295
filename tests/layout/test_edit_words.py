"""Words of edits: what they mean in one bedroom and one living room, and what is said about words that mean nothing there."""

import re

import pytest

from layout.editing.words import read
from layout.schema import Scene
from tests.layout.conftest import thing


@pytest.fixture
def living(room):
    """A living room of 600 x 500 cm: door in the south, window in the north."""
    big = room.model_copy(update={"room_type": "living_room"})
    hall = type(room).model_validate(
        {**big.model_dump(), "polygon": [(0, 0), (600, 0), (600, 500), (0, 500)]}
    )
    chairs = [thing(f"dining_chair_{k + 1}", "dining_chair", (45, 50, 90), 180 * (k % 2), (450 + 60 * (k // 2), 60 + 140 * (k % 2), 0)) for k in range(4)]  # fmt: skip
    return Scene(
        room=hall,
        objects=(
            thing("sofa_1", "sofa", (200, 90, 80), 90, (45, 300, 0)),
            thing("armchair_1", "armchair", (80, 80, 90), 0, (200, 420, 0)),
            thing("coffee_table_1", "coffee_table", (100, 60, 45), 90, (160, 300, 0)),
            thing("tv_stand_1", "tv_stand", (140, 40, 50), 270, (580, 300, 0)),
            thing("television_1", "television", (110, 10, 60), 270, (580, 300, 50), on="tv_stand_1"),
            thing("dining_table_1", "dining_table", (140, 80, 75), 0, (480, 130, 0)),
            *chairs,
            thing("bookshelf_1", "bookshelf", (80, 30, 200), 180, (300, 15, 0)),
            thing("books_1", "books", (20, 15, 10), 180, (300, 15, 200), on="bookshelf_1"),
            thing("plant_1", "plant", (40, 40, 120), 0, (570, 470, 0)),
            thing("plant_2", "plant", (30, 30, 80), 0, (30, 470, 0)),
        ),
    )


BEDROOM = {
    "move the desk to the window wall, add a bookshelf": ["move desk to the window wall", "add bookshelf_1"],
    "remove the rug and the two nightstands": ["remove rug", "remove left_stand and right_stand"],
    "swap the bed and the wardrobe": ["swap bed and wardrobe"],
    "swap the bed with the desk.": ["swap bed and desk"],
    "put a lamp on the desk": ["add table_lamp_1 on the desk"],
    "put the lamp on the desk": ["move lamp on the desk"],
    "Please put the lamp on the right_stand!": ["move lamp on the right_stand"],
    "make the bed 180 cm wide": ["resize bed to 180 x 205 x 50 cm"],
    "make the bed 1.8 m wide and 2.1 m long": ["resize bed to 180 x 210 x 50 cm"],
    "make the bed bigger": ["resize bed to 192 x 220 x 50 cm"],
    "make the wardrobe a bit narrower": ["resize wardrobe to 136 x 60 x 210 cm"],
    "resize the desk to 140 x 70 cm": ["resize desk to 140 x 70 x 75 cm"],
    "widen the desk": ["resize desk to 144 x 60 x 75 cm"],
    "turn the bed around": ["turn bed around"],
    "rotate the desk by 90 degrees": ["turn desk by 90 degrees"],
    "rotate the desk 90° clockwise": ["turn desk 90 ° clockwise"],
    "turn the desk to face the door": ["turn desk facing the door"],
    "make the desk face the window": ["turn desk facing the window"],
    "face the bed to the north": ["turn bed facing the north"],
    "get rid of the wardrobe; add two plants": ["remove wardrobe", "add plant_1 and plant_2"],
    "add a desk and put a laptop on it": ["add desk_1", "add laptop_1 on desk_1"],
    "move the wardrobe next to the bed and remove the rug": ["move wardrobe next to the bed", "remove rug"],
    "move the wardrobe to the north east corner": ["move wardrobe to the north east corner"],
    "push the bed against the west wall": ["move bed against the west wall"],
    "shift the desk 50 cm to the left": ["move desk 50 cm to the left"],
    "move the desk a bit closer to the door": ["move desk a bit closer to the door"],
    "move the rug to the middle of the room": ["move rug to the middle of the room"],
    "add an armchair in the corner, facing the bed": ["add armchair_1 in the corner facing the bed"],
    "I need another nightstand to the left of the bed": ["add nightstand_1 to the left of the bed"],
    "add a plant opposite the bed and a mirror": ["add plant_1 opposite the bed", "add mirror_1"],
    "remove the lamp on the left_stand": ["remove lamp"],
    "keep the bed where it is, move the desk to wall 2": ["keep bed", "move desk to wall 2"],
    "move the desk and the chair to the window": ["move desk and chair to the window"],
    "add a bench at the foot of the bed": ["add bench_1 at the foot of the bed"],
    "take out both nightstands": ["remove left_stand and right_stand"],
    "add a chest of drawers by the door": ["add dresser_1 by the door"],
}  # fmt: skip
LIVING = {
    "turn the sofa to face the window": ["turn sofa_1 facing the window"],
    "replace the armchair with a floor lamp": ["remove armchair_1", "add floor_lamp_1 in place of armchair_1"],
    "swap the armchair for an ottoman": ["remove armchair_1", "add ottoman_1 in place of armchair_1"],
    "add two dining chairs at the table": ["add dining_chair_5 and dining_chair_6 at the table"],
    "add two more chairs at the dining table": ["add dining_chair_5 and dining_chair_6 at the dining table"],
    "remove dining_chair_3 and dining chair 4": ["remove dining_chair_3", "remove dining_chair_4"],
    "remove all the chairs": ["remove dining_chair_1, dining_chair_2, dining_chair_3, dining_chair_4, armchair_1"],
    "remove the dining chairs": ["remove dining_chair_1, dining_chair_2, dining_chair_3, dining_chair_4"],
    "move the dining chair to the bookshelf": ["move dining_chair_1 to the bookshelf"],
    "remove the big plant": ["remove plant_1"],
    "move the couch across from the TV stand": ["move sofa_1 across from the tv stand"],
    "put a rug under the coffee table": ["add rug_1 under the coffee table"],
    "add a side table between the sofa and the armchair": ["add side_table_1 between the sofa and the armchair"],
    "hang a painting above the sofa": ["add painting_1 above the sofa"],
    "move the bookcase to the wall opposite the door": ["move bookshelf_1 to the wall opposite the door"],
    "bring the armchair near the window, then turn it around": ["move armchair_1 near the window", "turn armchair_1 around"],
}  # fmt: skip


@pytest.mark.parametrize(("request_", "said"), BEDROOM.items())
def test_edits_of_a_bedroom(bedroom, request_, said):
    assert [str(op) for op in read(request_, bedroom).operations] == said


@pytest.mark.parametrize(("request_", "said"), LIVING.items())
def test_edits_of_a_living_room(living, request_, said):
    operations = [str(op) for op in read(request_, living).operations]
    if request_ == "remove all the chairs":
        assert set(operations[0].split(" ", 1)[1].split(", ")) == set(said[0].split(" ", 1)[1].split(", "))
    else:
        assert operations == said


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ("wobble the desk", "'wobble the desk': not understood; I know add, remove, move"),
        ("add a rug, wobble the desk and remove the bed", "'wobble the desk"),
        ("add a piano", "'piano' is no furniture I know"),
        ("add a wardrob", "did you mean wardrobe"),
        ("remove the sofa", "there is no sofa in the room; there is: bed, left_stand"),
        ("move the desk", "where to?"),
        ("move the desk to the moon", "not understood (from 'to' on)"),
        ("remove the nightstand", "may be left_stand, right_stand; say which by its id, or 'all'"),
        ("remove three nightstands", "there are only 2: left_stand, right_stand"),
        ("remove the desk and move the desk to the window", "desk is removed in the same edit"),
        ("move the desk to the window and remove the desk", "contradict each other"),
        ("keep the desk and turn the desk around", "contradict each other"),
        ("move the bed to the window, move the bed to the door", "contradict each other"),
        ("put a lamp on the desk and remove the desk", "which the same edit removes"),
        ("swap the bed", "two things swap places, not 1"),
        ("turn the desk", "how? Say 'around'"),
        ("make the desk purple", "not understood (from 'purple' on)"),
        ("make the desk 9 m wide", "cannot be 900 cm in a room of 400 x 350 x 260 cm"),
        ("make the bed 160 cm wide", "cm already, as asked"),
        ("move the bed next to the bed", "cannot be placed by itself"),
        ("turn it around", "'it' stands for nothing named before"),
        ("add the desk", "is there already; say 'a', 'another' or a number"),
        ("add a chair", "may be: desk chair, armchair; say which"),
        ("  , ", "the edit is empty"),
        ("add " + "a rug and " * 200 + "a plant", "the limit is 300"),
    ],
)
def test_what_is_not_understood_is_said(bedroom, request_, said):
    if request_ == "add a chair":
        bedroom = Scene(room=bedroom.room, objects=bedroom.objects[:4])
    with pytest.raises(ValueError, match=re.escape(said)):
        read(request_, bedroom)


def test_of_several_the_nearest_is_taken_and_that_is_said(living):
    edits = read("move the dining chair to the bookshelf", living)
    assert edits.notes == ("'the dining chair': dining_chair_1 taken, the nearest of 4",)


def test_any_one_will_do_where_the_words_say_so(living):
    edits = read("remove two of the dining chairs", living)
    assert edits.removed == ("dining_chair_3", "dining_chair_4")
    assert "any of 4 would do" in edits.notes[0]
