"""Your own generator and reward in a few lines: by dotted path, and by URL of an OpenAI-images server."""

import base64
import io
import socket
import sys
import threading
import time

import numpy as np
import pytest
import torch
from PIL import Image

from rewards.base import Item, Media, Status, check_reward
from rewards.bridge import Bridge
from rewards.cases import Row
from rewards.external import ExternalGenerator, ExternalReward, load_generator, load_reward, to_pixels
from rewards.failures import RewardMisconfigured, Undeliverable
from rewards.retries import RetryPolicy
from rewards.store import Store
from rewards.testing import ColourGenerator

approx = pytest.approx

MINE = '''
import numpy as np
from PIL import Image

class Painter:
    """Two lines of model: redder for longer prompts."""
    def generate(self, prompts, seeds):
        return [Image.new("RGB", (16, 8), (min(255, 10 * len(p)), s % 7, 0)) for p, s in zip(prompts, seeds)]

class Redness:
    bounds = (0.0, 255.0)
    def score(self, images, prompts):
        return [float(image[..., 0].mean()) if "cat" not in prompt else None for image, prompt in zip(images, prompts)]

def paint(prompts, seeds):
    return [np.full((4, 4, 3), len(p), np.uint8) for p in prompts]

def unit(images, prompts):
    return [image.mean() / 255 for image in images]

def too_much(images, prompts):
    return [21.5 for _ in images]

VALUE = 7
'''


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A user's module beside the working directory."""
    (tmp_path / "my_models.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield "my_models"
    sys.modules.pop("my_models", None)


def bridge(generator, reward, **options):
    retries = RetryPolicy(backoff_s=0.01)
    return Bridge(generator, reward, images_per_prompt=2, store=Store(":memory:"), retries=retries, **options)


def test_own_generator_and_reward_work_end_to_end(mine):
    joined = bridge(load_generator(f"{mine}:Painter"), load_reward(f"{mine}:Redness"))
    outcomes = joined.score_texts([Row("1", "a dog"), Row("2", "a cat")], ["a red dog", "a red cat"])
    assert outcomes[0].value == approx(90.0)
    assert outcomes[0].images[0].shape == (8, 16, 3)
    assert (outcomes[1].value, outcomes[1].status) == (None, Status.NA)


def test_plain_functions_will_do(mine):
    joined = bridge(load_generator(f"{mine}:paint"), load_reward(f"{mine}:unit"))
    assert joined.score_texts([Row("1", "p")], ["12345"])[0].value == approx(5 / 255)


def test_undeclared_range_that_does_not_hold_stops_with_the_way_out(mine):
    joined = bridge(load_generator(f"{mine}:paint"), load_reward(f"{mine}:too_much"))
    with pytest.raises(RewardMisconfigured, match=r"gave 21\.5 .*bounds = \(lowest, highest\)"):
        joined.score_texts([Row("1", "p")], ["12345"])
    declared = bridge(load_generator(f"{mine}:paint"), load_reward(f"{mine}:too_much", bounds=(0, 30)))
    assert declared.score_texts([Row("1", "p")], ["12345"])[0].value == 21.5


def test_own_reward_keeps_the_contract():
    class Mean:
        name, fingerprint, bounds = "mean", "mean-1", (0.0, 255.0)

        def score(self, images, prompts):
            return [float(image.mean()) for image in images]

    pixels = torch.tensor([0.2, 0.6, 1.0]).reshape(3, 1, 1, 1).expand(3, 3, 6, 6)
    items = [Item("p", "c", group="g", seed=i) for i in range(3)]
    check_reward(ExternalReward(Mean()), Media(pixels), items, better=(2, 0))


def test_what_declares_no_fingerprint_is_cached_for_this_process_only():
    class Model:
        def generate(self, prompts, seeds):
            return []

    unknown = ExternalGenerator(Model(), "m:Model").fingerprint
    from rewards.external import PROCESS

    assert PROCESS in unknown
    Model.fingerprint = "v1"
    assert ExternalGenerator(Model(), "m:Model").fingerprint == "v1"


def test_licence_is_unknown_unless_stated(mine):
    assert load_generator(f"{mine}:Painter").licence == "unknown"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("my_models:Panter", r"has no 'Panter'; it has .*Painter"),
        ("no_such_module:x", "no such module"),
        ("my_models:VALUE", r"needs generate\(…\)"),
    ],
)
def test_wrong_dotted_paths_are_refused_with_the_reason(mine, spec, message):
    with pytest.raises(ValueError, match=message):
        load_generator(spec)


def test_unknown_reward_names_are_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="shapes-strict"):
        load_reward("shape")


def test_import_error_inside_the_users_module_is_not_disguised(tmp_path, monkeypatch):
    (tmp_path / "needs_more.py").write_text("import a_package_nobody_has")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(ModuleNotFoundError, match="a_package_nobody_has"):
        load_generator("needs_more:x")


def test_internal_generators_and_rewards_pass_through_unchanged():
    generator = load_generator("rewards.testing:ColourGenerator")
    assert isinstance(generator, ColourGenerator)
    assert load_reward("rewards.testing:Brightness").name == "brightness"


def test_default_reward_is_the_exact_judge_of_the_shapes_world():
    assert load_reward().bounds == (0.0, 1.0)
    assert load_reward("shapes-strict").fingerprint != load_reward("shapes").fingerprint


@pytest.mark.parametrize(
    "image",
    [
        Image.new("RGB", (5, 4), (255, 0, 51)),
        np.tile(np.array([255, 0, 51], np.uint8), (4, 5, 1)),
        np.tile(np.array([1.0, 0.0, 0.2], np.float64), (4, 5, 1)),
        np.tile(np.array([255, 0, 51, 255], np.uint8), (4, 5, 1)),
        torch.tensor([1.0, 0.0, 0.2]).reshape(3, 1, 1).expand(3, 4, 5),
        torch.tensor([255, 0, 51], dtype=torch.uint8).expand(4, 5, 3),
    ],
)
def test_every_common_form_of_an_image_is_the_same_tensor(image):
    pixels = to_pixels(image)
    assert pixels.shape == (3, 4, 5)
    assert pixels.dtype == torch.float32
    assert pixels[:, 0, 0].tolist() == [approx(1.0), 0.0, approx(0.2)]


def test_grey_images_get_three_channels():
    assert to_pixels(np.zeros((4, 5), np.uint8)).shape == (3, 4, 5)


@pytest.mark.parametrize(
    "image", [np.zeros((4, 5, 2)), np.zeros(3), np.full((4, 5, 3), 200.0), np.zeros((4, 5, 3), int)]
)
def test_what_is_no_image_is_refused(image):
    with pytest.raises(Undeliverable):
        to_pixels(image)


# -- an OpenAI-images server on loopback -----------------------------------------------------------------------------


class Served:
    """A FastAPI app in uvicorn on a free port; `fail` answers come first."""

    def __init__(self) -> None:
        import uvicorn
        from fastapi import FastAPI, Request
        from fastapi.responses import JSONResponse

        app = FastAPI()
        self.bodies: list[dict] = []
        self.headers: list[dict] = []
        self.fail: list[int] = []
        self.answer = None

        @app.post("/v1/images/generations")
        async def generations(request: Request):
            body = await request.json()
            self.bodies.append(body)
            self.headers.append(dict(request.headers))
            if self.fail:
                return JSONResponse({"error": "busy"}, status_code=self.fail.pop())
            if "forbidden" in body["prompt"]:
                return JSONResponse({"error": "content policy"}, status_code=400)
            width, height = map(int, body["size"].split("x"))
            png = io.BytesIO()
            Image.new("RGB", (width, height), (len(body["prompt"]), body["seed"] % 256, 0)).save(png, "PNG")
            encoded = base64.b64encode(png.getvalue()).decode()
            return self.answer or {"created": 0, "data": [{"b64_json": encoded}]}

        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        config = uvicorn.Config(app, host="127.0.0.1", port=self.port, log_level="warning")
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        for _ in range(200):
            if self.server.started:
                break
            time.sleep(0.05)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(10)


@pytest.fixture
def served():
    server = Served()
    yield server
    server.stop()


def reds(images, prompts):
    return [float(image[0, 0, 0]) for image in images]


def over_http(served, query="?size=8x6&model=tiny"):
    return bridge(load_generator(served.url + query), ExternalReward(reds, bounds=(0.0, 255.0)))


def test_images_server_draws_with_our_seeds_and_size(served, monkeypatch):
    monkeypatch.setenv("REWRIGHT_IMAGES_API_KEY", "a-token")
    joined = over_http(served)
    outcome = joined.score_texts([Row("1", "a dog")], ["a red dog"])[0]
    assert outcome.value == 9.0
    assert outcome.images[0].shape == (6, 8, 3)
    assert [int(i[0, 0, 1]) for i in outcome.images] == [s % 256 for s in outcome.seeds]
    assert {b["seed"] for b in served.bodies} == set(joined.seeds("1"))
    assert {b["model"] for b in served.bodies} == {"tiny"}
    assert {h["authorization"] for h in served.headers} == {"Bearer a-token"}


def test_busy_server_is_asked_again(served):
    served.fail = [503, 429]
    outcome = over_http(served).score_texts([Row("1", "a dog")], ["a red dog"])[0]
    assert outcome.value == 9.0
    assert len(served.bodies) > 2


def test_refused_prompt_costs_that_prompt_only(served):
    joined = over_http(served)
    outcomes = joined.score_texts([Row("1", "a"), Row("2", "b")], ["forbidden dog", "a red dog"])
    assert (outcomes[0].value, outcomes[0].cause) == (None, "bad_media")
    assert outcomes[1].value == 9.0


@pytest.mark.parametrize(
    "answer", [{"data": []}, {"data": [{"url": "http://elsewhere"}]}, {"data": [{"b64_json": "AAAA"}]}, [1]]
)
def test_answer_without_an_image_is_broken_media(served, answer):
    served.answer = answer
    assert over_http(served).score_texts([Row("1", "a")], ["b"])[0].cause == "bad_media"


def test_wrong_address_stops_with_a_clear_message(served):
    joined = bridge(load_generator(served.url + "/nowhere"), ExternalReward(reds, bounds=(0.0, 255.0)))
    with pytest.raises(RewardMisconfigured, match="answered 404"):
        joined.score_texts([Row("1", "a")], ["b"])


def test_server_that_is_gone_gives_none_and_not_zero(served):
    served.stop()
    outcome = over_http(served).score_texts([Row("1", "a")], ["b"])[0]
    assert (outcome.value, outcome.cause) == (None, "unavailable")


def test_unknown_options_of_a_url_are_refused():
    with pytest.raises(ValueError, match=r"unknown option \['sise'\].*size"):
        load_generator("http://localhost:1/v1?sise=8x8")


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/", "/v1/images/generations"])
def test_address_may_be_given_in_full_or_in_part(path):
    assert load_generator(f"http://localhost:1{path}").url == "http://localhost:1/v1/images/generations"
