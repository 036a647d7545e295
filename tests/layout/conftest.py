"""One furnished bedroom that is right, to be made wrong in one way at a time."""

import pytest

from layout.schema import Door, Room, Scene, SceneObject, Window

L_SHAPE = ((0, 0), (500, 0), (500, 200), (300, 200), (300, 400), (0, 400))


def thing(name, category, size, yaw, pos, on="floor"):
    return SceneObject(id=name, category=category, size=size, yaw=yaw, pos=pos, on=on)


@pytest.fixture
def room():
    return Room(
        room_type="bedroom",
        polygon=((0, 0), (400, 0), (400, 350), (0, 350)),
        height=260,
        doors=(Door(wall=0, start=20, end=110),),
        windows=(Window(wall=2, start=60, end=200, sill=90, head=210),),
    )


@pytest.fixture
def bedroom(room):
    """Bed with its head at the west wall, a nightstand on each side, wardrobe and desk with chair on the east side."""
    return Scene(
        room=room,
        objects=(
            thing("bed", "double_bed", (160, 205, 50), 90, (102.5, 220, 0)),
            thing("left_stand", "nightstand", (40, 40, 55), 90, (20, 120, 0)),
            thing("right_stand", "nightstand", (40, 40, 55), 90, (20, 320, 0)),
            thing("wardrobe", "wardrobe", (150, 60, 210), 270, (370, 100, 0)),
            thing("desk", "desk", (120, 60, 75), 270, (370, 270, 0)),
            thing("chair", "desk_chair", (50, 50, 90), 90, (330, 270, 0)),
            thing("lamp", "table_lamp", (20, 20, 40), 90, (20, 120, 55), on="left_stand"),
            thing("rug", "rug", (150, 200, 1), 0, (250, 170, 0)),
        ),
    )
