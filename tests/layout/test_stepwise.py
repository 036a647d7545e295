"""Rooms written piece by piece: what is faulty is written again, what is kept is not asked for, what a token joins is written as in training."""

import json
from dataclasses import dataclass, field

from layout import synthesis
from layout.checks import check
from layout.generate import Job, answers
from layout.parse import Parsed, parse
from layout.schema import Scene
from layout.serialise import answer_text, carriers_first


@dataclass
class Careless:
    """Knows the right answer; writes each piece `slips` times in the middle of the first one before it writes it right."""

    answer: str
    slips: int
    asked: list = field(default_factory=list)
    written: dict = field(default_factory=dict)
    follows = False

    def complete(self, asked, *, temperature, seed):
        self.asked += asked
        return [self.one(a) for a in asked]

    def one(self, a):
        if a.constraint.ebnf is not None:
            return self.answer[
                len(a.begun) : self.answer.index('","objects":[{"id":"') + len('","objects":[{"id":"')
            ]
        assert self.slips > 9 or self.answer.startswith(a.begun)
        k = a.begun.count('"span":') + a.begun.count('"pos":')
        pieces = json.loads(self.answer)["objects"]
        piece = dict(pieces[k])
        self.written[k] = self.written.get(k, 0) + 1
        if k and piece["on"] == "floor" and self.written[k] <= self.slips:
            piece["span"] = pieces[0]["span"]
        return a.constraint.before + json.dumps(piece, separators=(",", ":")) + a.constraint.after


SCENE = carriers_first(synthesis.draw("bedroom", "pieces", 4).scene)
JOB = Job(Scene(room=SCENE.room), "a bedroom")


def test_a_faulty_piece_is_written_again():
    model = Careless(answer_text(SCENE), slips=2)
    text = answers(model, [JOB], tries=4)[0]
    assert text == answer_text(SCENE)
    floor = [k for k, o in enumerate(SCENE.objects) if k and o.on == "floor"]
    assert floor
    assert all(model.written[k] == 3 for k in floor)
    assert model.written[0] == 1


def test_after_the_last_try_the_least_faulty_is_kept():
    model = Careless(answer_text(SCENE), slips=99)
    read = parse(answers(model, [JOB], tries=2)[0], SCENE.room)
    assert isinstance(read, Parsed)
    assert [o.id for o in read.scene.objects] == [o.id for o in SCENE.objects]
    assert check(read.scene).of("collision")
    assert max(model.written.values()) == 2


def test_one_try_asks_for_everything_at_once():
    model = Careless(answer_text(SCENE), slips=0)
    model.one = lambda a: "" if a.constraint.ebnf is None else Careless.one(model, a)
    answers(model, [JOB], tries=1)
    assert len(model.asked) == 2


def test_the_next_name_is_written_with_the_end_of_a_piece():
    model = Careless(answer_text(SCENE), slips=0)
    answers(model, [JOB], tries=2)
    pieces = [a for a in model.asked if a.constraint.schema is not None]
    assert len(pieces) == len(SCENE.objects)
    assert pieces[0].constraint.before == '","objects":['
    assert {a.constraint.before for a in pieces[1:]} == {"]},"}
    assert pieces[0].constraint.after == f',{{"id":"{SCENE.objects[1].category}'
    assert pieces[-1].constraint.after == "]}"


def test_kept_pieces_are_not_asked_for():
    kept = Scene(room=SCENE.room, objects=SCENE.objects[:2])
    text = answer_text(SCENE, kept=2)
    model = Careless(text, slips=1)
    assert answers(model, [Job(kept, "the rest")], tries=3)[0] == text
    assert not {0, 1} & set(model.written)


def test_rooms_of_different_length_are_written_together():
    other = carriers_first(synthesis.draw("bathroom", "pieces", 1).scene)
    models = {SCENE.room: Careless(answer_text(SCENE), 0), other.room: Careless(answer_text(other), 1)}

    class Both:
        follows = False

        def complete(self, asked, *, temperature, seed):
            return [models[SCENE.room if "room bedroom" in a.prompt else other.room].one(a) for a in asked]

    jobs = [JOB, Job(Scene(room=other.room), "a bathroom")]
    assert answers(Both(), jobs, tries=3) == [answer_text(SCENE), answer_text(other)]
