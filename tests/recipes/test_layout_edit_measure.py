"""The measurement of edits: every case can be done, and what is counted is what was done."""

import json

from layout.editing.words import read
from layout.synthesis import split_of
from recipes.layout_edit_measure import cases, main, summary


def test_cases_are_of_held_out_rooms_and_ask_for_what_is_not_there_yet():
    found = cases(1)
    assert {c.kind for c in found} == {"remove", "move", "add"}
    for case in found:
        assert split_of(case.scene.room) == "test"
        (op,) = read(case.request, case.scene).operations
        assert op.kind == case.kind


def test_rates_are_by_kind_and_name_the_least_local():
    row = {"done": True, "without_any_new_fault": True, "locality": 1.0, "source": None, "seconds": 1.0}
    rows = [
        row | {"kind": "remove"},
        row | {"kind": "add", "source": "model"},
        row
        | {"kind": "add", "source": "search", "done": False, "without_any_new_fault": False, "locality": 0.5},
    ]
    found = summary(rows)
    assert found["add"] == {"n": 2, "done": 0.5, "without_any_new_fault": 0.5, "locality": 0.75, "locality_least": 0.5, "model": 0.5, "seconds": 1.0}  # fmt: skip
    assert found["remove"]["model"] is None
    assert found["all"]["n"] == 3


def test_the_command_writes_every_edit(tmp_path, capsys):
    out = tmp_path / "edits.json"
    assert main(["--rooms", "1", "--model", "none", "--output", str(out)]) == 0
    written = json.loads(out.read_text())
    assert len(written["edits"]) == written["rates"]["all"]["n"]
    assert written["rates"]["all"]["locality_least"] == 1.0
    assert "locality_least" in capsys.readouterr().out
