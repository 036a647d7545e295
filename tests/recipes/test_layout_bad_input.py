"""What people get wrong, through every command of `rewright layout`: one message with the place, exit code 1, and nothing half written."""

import json

import pytest

from recipes.cli import main
from recipes.layout_files import write_whole

GOOD = {
    "room": {
        "room_type": "bedroom",
        "polygon": [[0, 0], [400, 0], [400, 350], [0, 350]],
        "doors": [{"wall": 0, "start": 20, "end": 110}],
    },
    "objects": [
        {"id": "bed", "category": "double_bed", "size": [160, 205, 50], "yaw": 90, "pos": [102.5, 220, 0]},
    ],
}
BED = GOOD["objects"][0]
COMMANDS = {
    "check": ("check", "room.json", "--json", "out/r.jsonl"),
    "metrics": ("metrics", "room.json", "--json", "out/m.json"),
    "svg": ("render", "room.json", "-o", "out/p.svg"),
    "png": ("render", "room.json", "-o", "out/p.png"),
    "glb": ("export", "room.json", "-o", "out/x.glb"),
    "view": ("view", "room.json", "-o", "out/v.html"),
    "navigate": ("navigate", "room.json", "--to", "bed", "-o", "out/n.svg"),
    "generate": ("generate", "a bedroom", "--room", "room.json", "--output", "out"),
}


def room(**changes):
    return {**GOOD, "room": {**GOOD["room"], **changes}}


def objects(*rows):
    return {**GOOD, "objects": list(rows)}


WRONG = {
    "self-crossing": (room(polygon=[[0, 0], [400, 350], [400, 0], [0, 350]], doors=[]), "edge 0 from (0.0, 0.0) crosses edge 2"),
    "clockwise": (room(polygon=[[0, 0], [0, 350], [400, 350], [400, 0]]), "vertices run clockwise; give them counter-clockwise"),
    "door past its wall": (room(doors=[{"wall": 0, "start": 20, "end": 500}]), "doors[0]: ends at 500 cm on wall 0, which is 400 cm long"),
    "door in no wall": (room(doors=[{"wall": 9, "start": 20, "end": 100}]), "doors[0]: wall 9 does not exist; this room has walls 0 to 3"),
    "metres": (room(polygon=[[0, 0], [3.4, 0], [3.4, 3.6], [0, 3.6]], doors=[]), "were these metres? If so, give --units m"),
    "infinite height": ('{"room": {"room_type": "bedroom", "polygon": [[0, 0], [400, 0], [400, 350]], "height": Infinity}}', "room.height: Input should be a finite number"),
    "a list for a room": ({"room": [1]}, "room: must be a JSON object"),
    "unknown category": (objects(BED | {"category": "wardrob"}), "object 'bed': unknown category 'wardrob'; did you mean wardrobe"),
    "furniture in metres": (objects(BED | {"size": [1.6, 2.05, 0.5], "pos": [1, 2.2, 0]}), "object 'bed' is 1.6 x 2.05 x 0.5 cm; lengths are centimetres, were these metres? If so, give --units m"),
    "furniture far away": (objects(BED | {"pos": [1e9, 0, 0]}), "object 'bed' is at (1e+09, 0, 0) cm, far from the room of 400 x 350 cm"),
    "201 objects": (objects(*(BED | {"id": f"b{i}"} for i in range(201))), "objects: at most 200 items, not 201"),
    "not a number": (json.dumps(objects(BED | {"pos": [float("nan"), 1, 0]})), "objects[0].pos[0]: Input should be a finite number"),
    "an id twice": (objects(BED, BED), "objects[1]: the id 'bed' is used twice"),
    "a negative size": (objects(BED | {"size": [-160, 205, 50]}), "objects[0].size[0]: Input should be greater than 0"),
    "on nothing": (objects(BED | {"on": "nowhere"}), "object 'bed' is on 'nowhere', which is neither a place"),
    "text for objects": ({**GOOD, "objects": "none"}, "objects: must be a list"),
    "no room": ({"objects": []}, 'the key "room" is missing; there are: objects'),
    "malformed": ('{"room": ', "no JSON: Expecting value in line 1, column 10"),
    "empty": ("", "room.json is empty"),
    "an empty list": ("[]", "room.json holds no room"),
    "null": ("null", 'a room is a JSON object with "room" and "objects", not NoneType'),
    "thousands of brackets": ("[" * 100_000, "brackets are nested thousands deep"),
    "no text": (b"\xff\xfe\x00\x80", "room.json is no text in UTF-8"),
}  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(folder, content):
    data = content if isinstance(content, bytes | str) else json.dumps(content)
    (folder / "room.json").write_bytes(data if isinstance(data, bytes) else data.encode())


def refused(capsys, *argv):
    assert main(["layout", *argv]) == 1
    seen = capsys.readouterr()
    assert seen.out == ""
    assert seen.err.startswith("rewright: ")
    assert seen.err.count("\n") == 1
    assert "unforeseen" not in seen.err
    return seen.err


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("what", WRONG)
def test_every_command_says_what_is_wrong_and_writes_nothing(folder, capsys, what, command):
    content, said = WRONG[what]
    put(folder, content)
    message = refused(capsys, *COMMANDS[command])
    assert "room.json" in message
    assert said in message
    assert sorted(p.name for p in folder.iterdir()) == ["room.json"]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_folder_or_nothing_in_place_of_a_file_is_said(folder, capsys, command):
    assert "room.json" in refused(capsys, *COMMANDS[command])
    (folder / "room.json").mkdir()
    assert "room.json: Is a directory" in refused(capsys, *COMMANDS[command])


@pytest.mark.parametrize("command", [c for c in COMMANDS if c != "generate"])
def test_a_good_room_is_written_whole_into_a_new_folder(folder, command):
    put(folder, GOOD)
    assert main(["layout", *COMMANDS[command]]) == 0
    assert [p.name for p in (folder / "out").iterdir()] == [COMMANDS[command][-1].removeprefix("out/")]


def test_centimetres_taken_for_metres_are_said(folder, capsys):
    put(folder, GOOD)
    said = refused(capsys, "check", "room.json", "--units", "m")
    assert "the floor has 140000 m² with --units m; without it lengths are centimetres" in said


@pytest.mark.parametrize(
    ("request_text", "size", "said"),
    [
        ("a bedroom with a king-size bed and a wardrobe", "1.2x1.5", "double bed is at least 140 x 190 cm and does not fit into a room of 120 x 150 cm"),
        ("a living room with three sofas and a dining table", "2x2.2", "the room is too small: at their smallest 3 sofa 3.4 m²"),
        ("a bedroom, no bed, two beds", "4x4", "wants a double bed and also wants none"),
        ("a bedroom with a desk but without desk", "4x4", "wants a desk and also wants none"),
        ("a bedroom with 200 plants", "4x4", "200 plants: ask for at most 20 of a kind"),
        ("a kitchen with 20 mugs and 20 vases", "4x4", "names 40 objects; one answer has at most 30"),
        ("a bedroom", "340x360m", "is 34000 x 36000 cm, which is no room"),
        ("a bedroom", "wide", "--room 'wide': give WIDTHxDEPTH such as 3.4x3.6"),
        ("   ", "4x4", "the request is empty"),
        ("somewhere nice", "4x4", "does not say what room it is"),
    ],
)  # fmt: skip
def test_what_no_room_can_be_is_refused_before_a_model_is_looked_for(
    folder, capsys, request_text, size, said
):
    message = refused(capsys, "generate", request_text, "--room", size, "--model", "no/such/model")
    assert said in message
    assert not list(folder.iterdir())


@pytest.mark.parametrize(
    "request_text",
    [
        "a bedroom with a bed but no other bed",
        "a bedroom with no more than one desk, and a desk lamp",
        "a bedroom with a bed, the bed at the window, without a desk",
        "a bedroom of 340 x 360 cm with 12 books",
    ],
)
def test_what_only_looks_like_a_contradiction_goes_to_the_model(folder, capsys, request_text):
    said = refused(capsys, "generate", request_text, "--room", "4x4", "--model", "no/such/model")
    assert "the layout model 'no/such/model' cannot be loaded" in said


def test_kept_furniture_counts_as_floor_that_is_taken(folder, capsys):
    wardrobes = [
        {"id": f"w{i}", "category": "wardrobe", "size": [200, 60, 200], "pos": [100, 30 + 60 * i, 0]}
        for i in range(5)
    ]
    put(folder, objects(*wardrobes))
    said = refused(
        capsys, "generate", "add a king-size bed", "--room", "room.json", "--model", "no/such/model"
    )
    assert "6.0 m² are taken" in said


def test_a_bad_catalogue_is_said_with_its_entry(folder, capsys):
    put(folder, GOOD)
    (folder / "mine.json").write_text('[{"name": "billy", "like": "bookshelv", "size": [80, 28, 202]}]')
    said = refused(capsys, "check", "room.json", "--catalogue", "mine.json")
    assert "mine.json: billy: like: 'bookshelv' is not built in" in said
    assert "none.json: No such file" in refused(capsys, "check", "room.json", "--catalogue", "none.json")


def test_a_catalogue_makes_its_names_known(folder, capsys):
    put(folder, objects({"id": "b", "category": "billy", "size": [80, 28, 202], "pos": [300, 336, 0]}))
    assert "unknown category 'billy'" in refused(capsys, "check", "room.json")
    (folder / "mine.yaml").write_text("- {name: billy, like: bookshelf, size: [80, 28, 202]}")
    assert main(["layout", "check", "room.json", "--catalogue", "mine.yaml"]) == 0
    assert "1 of 1 rooms without a hard fault, 1 without any" in capsys.readouterr().out


def test_an_output_that_is_a_file_is_said_before_a_model_runs(folder, capsys):
    (folder / "out").write_text("mine")
    said = refused(
        capsys, "generate", "a bedroom", "--room", "4x4", "--output", "out", "--model", "no/such/model"
    )
    assert "--output out is a file" in said


def test_a_file_that_cannot_be_finished_leaves_the_old_one(folder):
    write_whole(folder / "a" / "b.txt", "old")
    with pytest.raises(UnicodeEncodeError):
        write_whole(folder / "a" / "b.txt", "\ud800")
    assert (folder / "a" / "b.txt").read_text() == "old"
    assert [p.name for p in (folder / "a").iterdir()] == ["b.txt"]
