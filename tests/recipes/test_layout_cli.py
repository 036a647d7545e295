"""`rewright layout`: rooms in, plans, meshes, ways and data sets out; what is wrong with a file is said with its place."""

import hashlib
import io
import json

import pytest

from recipes import layout_synth
from recipes.cli import main

ROOM = {
    "room": {
        "room_type": "bedroom",
        "polygon": [[0, 0], [400, 0], [400, 350], [0, 350]],
        "doors": [{"wall": 0, "start": 20, "end": 110}],
        "windows": [{"wall": 2, "start": 60, "end": 200, "sill": 90, "head": 210}],
    },
    "objects": [
        {"id": "bed", "category": "double_bed", "size": [160, 205, 50], "yaw": 90, "pos": [102.5, 220, 0]},
        {"id": "wardrobe", "category": "wardrobe", "size": [150, 60, 210], "yaw": 270, "pos": [370, 100, 0]},
    ],
}


@pytest.fixture
def room(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "room.json").write_text(json.dumps(ROOM))
    return tmp_path / "room.json"


def changed(path, change):
    value = json.loads(json.dumps(ROOM))
    change(value)
    path.write_text(json.dumps(value))


def failed(capsys, *argv):
    assert main(["layout", *argv]) == 1
    return capsys.readouterr().err


def test_a_good_room_is_exit_code_0_and_a_blocked_door_is_1(room, capsys):
    assert main(["layout", "check", "room.json"]) == 0
    assert "1 of 1 rooms without a hard fault" in capsys.readouterr().out
    changed(room, lambda v: v["objects"][1].update(pos=[70, 60, 0]))
    assert main(["layout", "check", "room.json", "--json", "report.jsonl"]) == 1
    assert "hard door_blocked: wardrobe in the way of door 0" in capsys.readouterr().out
    assert json.loads((room.parent / "report.jsonl").read_text())["violations"]


def test_standard_input_json_lines_and_feet_are_read(room, capsys, monkeypatch):
    def feet(value):
        if isinstance(value, dict):
            return {k: v if k in ("wall", "yaw") else feet(v) for k, v in value.items()}
        return (
            [feet(v) for v in value]
            if isinstance(value, list)
            else value / 30.48
            if isinstance(value, (int, float))
            else value
        )

    monkeypatch.setattr("sys.stdin", io.StringIO(f"{json.dumps(feet(ROOM))}\n{json.dumps(feet(ROOM))}\n"))
    assert main(["layout", "check", "-", "--units", "ft"]) == 0
    assert "2 of 2 rooms" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda v: v["room"].update(polygon=[[0, 0], [4, 0], [4, 3.5], [0, 3.5]], doors=[], windows=[]), "If so, give --units m"),
        (lambda v: v["room"].update(polygon=[[0, 0], [0, 350], [400, 350], [400, 0]]), "run clockwise"),
        (lambda v: v["room"]["doors"][0].update(end=500), "doors[0]: ends at 500 cm on wall 0, which is 400 cm long"),
        (lambda v: v["objects"][0].update(category="wardrob"), "object 'bed': unknown category 'wardrob'; did you mean wardrobe"),
        (lambda v: v["objects"][0].update(size=[160, 205]), "objects[0].size"),
        (lambda v: v["objects"].extend(v["objects"][0] | {"id": f"b{i}"} for i in range(200)), "at most 200 items"),
        (lambda v: v.pop("room"), 'the key "room" is missing; there are: objects'),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_room_is_said_with_its_place(room, capsys, change, said):
    changed(room, change)
    message = failed(capsys, "check", "room.json")
    assert message.startswith("rewright: room.json")
    assert said in message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "room.json is empty"),
        ('{"room": ', "room.json: no JSON: Expecting value in line 1, column 10"),
        (f"{json.dumps(ROOM)}\n{{broken\n", "room.json line 2: no JSON"),
        ("[3]", "room.json item 0: a room is a JSON object"),
    ],
)
def test_broken_files_are_said_with_their_line(room, capsys, text, said):
    room.write_text(text)
    assert said in failed(capsys, "check", "room.json")


def test_a_file_in_another_format_is_refused_with_what_is_missing(room, capsys):
    assert "the list 'rooms' is missing" in failed(capsys, "metrics", "room.json", "--format", "procthor")
    assert "the list 'furniture' is missing" in failed(capsys, "check", "room.json", "--format", "3dfront")
    assert 'give "input" and "output"' in failed(capsys, "check", "room.json", "--format", "optiscene")
    assert "sceneState" in failed(capsys, "check", "room.json", "--format", "sceneeval")
    assert "no room in the format 'layoutgpt'" in failed(
        capsys, "check", "room.json", "--format", "layoutgpt"
    )


def test_metrics_are_printed_with_their_definitions_and_written(room, capsys):
    assert main(["layout", "metrics", "room.json", "--json", "m.json"]) == 0
    assert "share of rooms without any hard fault" in capsys.readouterr().out
    assert json.loads((room.parent / "m.json").read_text())["metrics"]["oob_scene"]["value"] == 0


@pytest.mark.parametrize("name", ["plan.svg", "plan.png"])
def test_plans_are_drawn(room, name, capsys):
    assert main(["layout", "render", "room.json", "-o", f"out/{name}", "--check", "--scale", "1"]) == 0
    assert (room.parent / "out" / name).stat().st_size > 1000
    assert ".svg or .png" in failed(capsys, "render", "room.json", "-o", "plan.pdf")


@pytest.mark.parametrize("name", ["room.svg", "room.png"])
def test_rooms_in_space_are_drawn_from_where_one_asks(room, name, capsys):
    looks = {}
    for azimuth in ("35", "215"):
        command = [
            "layout",
            "render",
            "room.json",
            "--view",
            "3d",
            "--azimuth",
            azimuth,
            "-o",
            f"{azimuth}_{name}",
        ]
        assert main([*command, "--scale", "1"]) == 0
        looks[azimuth] = (room.parent / f"{azimuth}_{name}").read_bytes()
    assert looks["35"] != looks["215"]
    assert min(map(len, looks.values())) > 1000
    capsys.readouterr()
    assert "give --view 3d too" in failed(capsys, "render", "room.json", "--azimuth", "35", "-o", name)
    assert "azimuth inf" in failed(
        capsys, "render", "room.json", "--view", "3d", "--azimuth", "inf", "-o", name
    )
    assert not (room.parent / name).exists()


def test_several_rooms_get_a_number_each_and_one_can_be_chosen(room, capsys):
    room.write_text(f"{json.dumps(ROOM)}\n{json.dumps(ROOM)}\n")
    assert main(["layout", "render", "room.json", "-o", "p.svg"]) == 0
    assert {p.name for p in room.parent.glob("p*.svg")} == {"p_0.svg", "p_1.svg"}
    assert main(["layout", "view", "room.json", "--room", "1", "-o", "v.html"]) == 0
    assert "the file has the rooms 0 to 1" in failed(
        capsys, "view", "room.json", "--room", "2", "-o", "v.html"
    )
    assert "choose one with --room" in failed(capsys, "navigate", "room.json", "--to", "bed")


def test_exports_go_by_the_ending_and_come_back_through_check(room, capsys):
    assert main(["layout", "export", "room.json", "-o", "house.thor.json"]) == 0
    assert main(["layout", "check", "house.thor.json", "--format", "procthor"]) == 0
    assert main(["layout", "export", "room.json", "-o", "state.json", "--to", "sceneeval"]) == 0
    assert main(["layout", "check", "state.json", "--format", "sceneeval"]) == 0
    assert main(["layout", "export", "room.json", "-o", "row.optiscene.json"]) == 0
    assert main(["layout", "metrics", "row.optiscene.json", "--format", "optiscene"]) == 0
    assert main(["layout", "export", "room.json", "-o", "plan.dxf"]) == 0
    assert main(["layout", "export", "room.json", "-o", "room.usda"]) == 0
    assert sorted(p.name for p in room.parent.iterdir()) == [
        "house.thor.json", "plan.dxf", "room.json", "room.usda", "row.optiscene.json", "state.json",
    ]  # fmt: skip
    assert ".glb, .obj, .thor.json" in failed(capsys, "export", "room.json", "-o", "room.max")


def test_a_way_is_printed_and_drawn_and_none_is_exit_code_1(room, capsys):
    assert main(["layout", "navigate", "room.json", "--to", "bed", "-o", "way.svg"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith(" cm")
    assert (room.parent / "way.svg").exists()
    assert (
        main(["layout", "navigate", "room.json", "--from", "300,300", "--to", "bed", "--radius", "190"]) == 1
    )
    assert "cannot stand" in capsys.readouterr().out
    assert "no 'sofa' in the room; there are: bed, wardrobe, door_0" in failed(
        capsys, "navigate", "room.json", "--to", "sofa"
    )
    assert "two numbers in cm" in failed(capsys, "navigate", "room.json", "--to", "3,x")


def digest(folder):
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_a_stopped_data_set_goes_on_and_is_the_same_to_the_byte(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(layout_synth, "PART", 4)
    one, two = tmp_path / "one", tmp_path / "two"
    synth = ["layout", "synth", "--count", "10", "--seed", "3", "--rooms", "bathroom,kitchen", "--output"]
    assert main([*synth, str(one)]) == 0
    whole = layout_synth.write_part

    def stops(output, seed, count, mix, part):
        if part == 1:
            raise KeyboardInterrupt
        return whole(output, seed, count, mix, part)

    monkeypatch.setattr(layout_synth, "write_part", stops)
    assert main([*synth, str(two)]) == 130
    assert "goes on where it stopped" in capsys.readouterr().err
    assert not (two / "README.md").exists()
    monkeypatch.setattr(layout_synth, "write_part", whole)
    assert main([*synth, str(two)]) == 0
    assert digest(one) == digest(two)


def test_a_data_set_is_valid_split_by_room_and_described(tmp_path, capsys):
    out = tmp_path / "set"
    argv = ["layout", "synth", "--count", "12", "--rooms", "bathroom", "--output", str(out)]
    assert main(argv) == 0
    rows = [
        json.loads(line) for p in sorted(out.rglob("part-*.jsonl")) for line in p.read_text().splitlines()
    ]
    assert len({row["id"] for row in rows}) == 12
    assert all(row["instruction"]["text"] and row["plan"] for row in rows)
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["room_types"] == {"bathroom": 12}
    assert "12 rooms with furniture" in (out / "README.md").read_text()
    for part in out.rglob("train/part-*.jsonl"):
        assert manifest["sha256"][f"train/{part.name}"] == hashlib.sha256(part.read_bytes()).hexdigest()
        assert main(["layout", "check", str(part), "--quiet"]) == 0  # with what was asked for, too
    argv[3] = "13"
    assert "holds a data set with other settings (count 12 → 13)" in failed(capsys, *argv[1:])


def test_wrong_arguments_of_synth_are_refused_before_work(tmp_path, capsys):
    assert "--rooms cellar: there are" in failed(
        capsys, "synth", "--count", "1", "--rooms", "cellar", "--output", str(tmp_path / "x")
    )
    assert "at least 1" in failed(capsys, "synth", "--count", "0", "--output", str(tmp_path / "x"))
    (tmp_path / "y").mkdir()
    (tmp_path / "y" / "mine.txt").write_text("")
    assert "not empty" in failed(capsys, "synth", "--count", "1", "--output", str(tmp_path / "y"))


@pytest.mark.parametrize("sub", ["synth", "check", "metrics", "render", "export", "view", "navigate"])
def test_every_sub_command_teaches_with_examples(sub, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["layout", sub, "--help"])
    assert stop.value.code == 0
    assert f"examples:\n  rewright layout {sub}" in capsys.readouterr().out


def test_an_edit_is_written_whole_with_its_report_and_told_as_a_table(room, capsys):
    argv = [
        "layout",
        "edit",
        "room.json",
        "move the wardrobe to the north wall and add a plant",
        "--model",
        "none",
    ]
    assert main([*argv, "-o", "new/room.json", "--output", "out"]) == 0
    said = capsys.readouterr()
    assert "understood: move wardrobe to the north wall" in said.out
    assert "100% of what the edit is not about is exactly as it was" in said.out
    assert any(line.startswith("plant_1 ") and "added" in line for line in said.out.splitlines())
    written = json.loads((room.parent / "new" / "room.json").read_text())
    assert written["objects"][0] == ROOM["objects"][0] | {"on": "floor"}
    assert sorted(p.name for p in (room.parent / "out").iterdir()) == [
        "layout.json",
        "raw.json",
        "report.json",
    ]
    report = json.loads((room.parent / "out" / "report.json").read_text())
    assert (report["done"], report["locality"], report["source"]) == (True, 1.0, "search")
    assert not list(room.parent.rglob("*.part"))


def test_an_edit_reads_metres_prints_json_and_fails_where_it_is_not_done(room, capsys):
    def metres(value):
        if isinstance(value, dict):
            return {k: v if k in ("wall", "yaw", "id") else metres(v) for k, v in value.items()}
        return [metres(v) for v in value] if isinstance(value, list) else value / 100 if isinstance(value, (int, float)) else value  # fmt: skip

    room.write_text(json.dumps(metres(ROOM)))
    argv = ["layout", "edit", "room.json", "remove the wardrobe", "--units", "m", "--model", "none", "--json"]
    assert main(argv) == 0
    assert json.loads(capsys.readouterr().out)["operations"] == ["remove wardrobe"]
    assert main([*argv[:3], "shift the bed 3 m to the right", *argv[4:]]) == 1
    assert json.loads(capsys.readouterr().out)["changes"] == []


def test_an_edit_that_is_not_understood_writes_nothing(room, capsys):
    assert "'wobble the bed': not understood" in failed(capsys, "edit", "room.json", "wobble the bed", "-o", "x.json")  # fmt: skip
    assert not (room.parent / "x.json").exists()
    assert "no such file" in failed(capsys, "edit", "none.json", "add a rug")
    assert "-n 0" in failed(capsys, "edit", "room.json", "add a rug", "-n", "0")
    room.write_text(f"{json.dumps(ROOM)}\n{json.dumps(ROOM)}\n")
    assert "the file has 2 rooms" in failed(capsys, "edit", "room.json", "add a rug")
