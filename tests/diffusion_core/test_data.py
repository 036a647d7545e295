"""Preference pairs: every source gives the same pairs, and what cannot be trained on is refused with the way out."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from diffusion_core.data import Pair, PairError, check_pairs, load_pairs, read_pixels, save_pairs
from diffusion_core.media import MediaError


def picture(value: int, size: tuple[int, int] = (8, 8)) -> np.ndarray:
    """A plain picture with a gradient, different for each value."""
    height, width = size
    ramp = np.linspace(0, 50, width).astype(np.uint8)
    return np.broadcast_to((ramp + value)[None, :, None], (height, width, 3)).copy()


def encoded(array: np.ndarray, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, format=kind)
    return buffer.getvalue()


def pair(name: str = "one", **changes) -> Pair:
    made = Pair(name, f"prompt of {name}", picture(100), picture(20), score_chosen=0.75, score_rejected=0.25)
    return replace(made, **changes)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two pairs in the folder format."""
    save_pairs(
        [pair("one"), pair("two", prob_chosen=0.9, prompt_rejected="another", spec={"n": 1})],
        tmp_path / "pairs",
    )
    return tmp_path / "pairs"


def edit(folder: Path, **row) -> None:
    """Overwrite fields of the first caption."""
    file = folder / "captions.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    lines[0] |= row
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))


# -- sources -------------------------------------------------------------------------------------------------------------


def test_the_folder_format_gives_back_what_was_saved(folder):
    one, two = load_pairs(folder)
    assert (one.id, one.prompt, one.margin, one.prompt_rejected, one.prob_chosen) == (
        "one",
        "prompt of one",
        0.5,
        None,
        None,
    )
    assert (two.prompt_rejected, two.prob_chosen, two.spec) == ("another", 0.9, {"n": 1})
    assert torch.equal(read_pixels(one.chosen, (8, 8)), read_pixels(picture(100), (8, 8)))
    check_pairs([one, two])


def test_nothing_is_decoded_on_loading(folder):
    (folder / "chosen" / "one.png").write_bytes(b"no picture")
    assert load_pairs(folder)[0].chosen == folder / "chosen" / "one.png"


def test_captions_may_be_text_files(folder):
    (folder / "captions.jsonl").unlink()
    (folder / "captions").mkdir()
    for name in ("one", "two"):
        (folder / "captions" / f"{name}.txt").write_text(f"text of {name}\n")
    assert [p.prompt for p in load_pairs(folder)] == ["text of one", "text of two"]


def test_limit_takes_the_first(folder):
    assert [p.id for p in load_pairs(folder, limit=1)] == ["one"]


def test_jsonl_paths_are_relative_to_the_file(folder):
    rows = [
        {
            "prompt": "a",
            "chosen": "chosen/one.png",
            "rejected": "rejected/two.png",
            "score_chosen": 2,
            "score_rejected": 1,
        }
    ]
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (found,) = load_pairs(folder / "rows.jsonl")
    assert found.chosen == folder / "chosen/one.png"
    assert found.margin == 1


def test_an_id_that_is_not_given_is_a_hash_that_stays(folder, tmp_path):
    (folder / "rows.jsonl").write_text(
        json.dumps({"prompt": "a", "chosen": "chosen/one.png", "rejected": "rejected/two.png"})
    )
    first = load_pairs(folder / "rows.jsonl")[0].id
    folder.rename(tmp_path / "moved")
    assert load_pairs(tmp_path / "moved" / "rows.jsonl")[0].id == first
    assert len(first) == 16


PICKS = [
    {"caption": "second wins", "label_0": 0.0, "label_1": 1.0},
    {"caption": "tie", "label_0": 0.5, "label_1": 0.5},
    {"caption": "first wins", "label_0": 1.0, "label_1": 0.0},
]


def picks() -> list[dict]:
    return [
        {**row, "jpg_0": encoded(picture(10)), "jpg_1": encoded(picture(90)), "best_image_uid": "x"}
        for row in PICKS
    ]


def write_parquet(rows: list[dict], path: Path) -> Path:
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return path


def test_pick_a_pic_puts_the_winner_first_and_counts_the_ties(tmp_path, caplog):
    file = write_parquet(picks(), tmp_path / "picks.parquet")
    second, first = load_pairs(file)
    assert second.chosen == encoded(picture(90))
    assert first.chosen == encoded(picture(10))
    assert "1 of 3 rows left out: ties" in caplog.text
    check_pairs([second, first])


def test_best_image_uid_decides_where_there_are_no_labels(tmp_path):
    rows = [
        {
            "caption": "x",
            "jpg_0": b"a",
            "jpg_1": b"b",
            "image_0_uid": "u",
            "image_1_uid": "v",
            "best_image_uid": best,
        }
        for best in ("v", "tie")
    ]
    (found,) = load_pairs(write_parquet(rows, tmp_path / "picks.parquet"))
    assert found.chosen == b"b"


def test_people_who_disagree_about_two_pictures_give_two_pairs(tmp_path):
    rows = [row | {"caption": "x"} for row in picks()]
    assert len({p.id for p in load_pairs(write_parquet(rows, tmp_path / "picks.parquet"))}) == 2


def test_only_ties_are_refused_as_empty(tmp_path):
    file = write_parquet([picks()[1]] * 2, tmp_path / "picks.parquet")
    with pytest.raises(PairError, match=r"no pairs: all 2 rows were left out \(ties\)"):
        load_pairs(file)


def test_a_folder_of_parquet_files_is_read_in_order(tmp_path):
    write_parquet(picks()[2:], tmp_path / "b.parquet")
    write_parquet(picks()[:1], tmp_path / "a.parquet")
    assert [p.prompt for p in load_pairs(tmp_path)] == ["second wins", "first wins"]


def test_a_datasets_folder_is_read_without_decoding(tmp_path):
    from datasets import Dataset, Features, Value
    from datasets import Image as ImageColumn

    columns = Features({"prompt": Value("string"), "chosen": ImageColumn(), "rejected": ImageColumn()})
    rows = [
        {
            "prompt": "a",
            "chosen": {"bytes": encoded(picture(90))},
            "rejected": {"bytes": encoded(picture(10))},
        }
    ]
    Dataset.from_list(rows, features=columns).save_to_disk(tmp_path / "saved")
    (found,) = load_pairs(tmp_path / "saved")
    assert found.chosen == encoded(picture(90))


def test_a_hub_id_that_cannot_be_loaded_says_how(monkeypatch):
    import datasets
    import huggingface_hub

    for module in (datasets.config, huggingface_hub.constants):  # they read the environment when imported
        monkeypatch.setattr(module, "HF_HUB_OFFLINE", True)
    with pytest.raises(PairError, match=r"nobody/nothing: neither a file nor .* HF_HUB_OFFLINE=0 allows it"):
        load_pairs("nobody/nothing")


# -- pixels --------------------------------------------------------------------------------------------------------------


def test_pixels_at_the_canvas_are_the_bytes_over_255():
    pixels = read_pixels(encoded(picture(100)), (8, 8))
    assert pixels.shape == (3, 8, 8)
    assert torch.equal(pixels[0, 0] * 255, torch.from_numpy(picture(100)[0, :, 0]).float())


def test_a_wide_picture_is_cut_at_the_centre():
    wide = np.concatenate([picture(0), np.full((8, 8, 3), 200, np.uint8), picture(0)], axis=1)
    assert torch.equal(read_pixels(wide, (8, 8)), torch.full((3, 8, 8), 200 / 255))


@pytest.mark.parametrize("size", [(3, 5), (16, 7), (31, 32)])
def test_any_size_covers_the_canvas(size):
    pixels = read_pixels(np.full((*size, 3), 128, np.uint8), (9, 6))
    assert pixels.shape == (3, 9, 6)
    assert torch.allclose(pixels, torch.tensor(128 / 255))


def test_frames_are_evenly_chosen(tmp_path):
    video = np.stack([picture(10 * i) for i in range(7)])
    for i, frame in enumerate(video):
        Image.fromarray(frame).save(tmp_path / f"{i:02d}.png")
    for media in (video, tmp_path):
        pixels = read_pixels(media, (3, 8, 8))
        assert pixels.shape == (3, 3, 8, 8)
        assert (pixels[0, :, 0, 0] * 255).tolist() == [0, 30, 60]


def test_a_video_survives_saving(tmp_path):
    video = np.stack([picture(i) for i in range(3)])
    save_pairs([pair("v", chosen=video, rejected=video + 9)], tmp_path / "pairs")
    (found,) = load_pairs(tmp_path / "pairs")
    check_pairs([found])
    assert torch.equal(read_pixels(found.chosen, (3, 8, 8)), read_pixels(video, (3, 8, 8)))


def test_transparency_is_over_white():
    buffer = io.BytesIO()
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(buffer, format="PNG")
    assert read_pixels(buffer.getvalue(), (4, 4)).min() == 1


@pytest.mark.parametrize(
    ("media", "canvas", "said"),
    [
        (picture(0), (3, 8, 8), "is a picture, and the canvas"),
        (picture(0)[None], (8, 8), "is a video of 1 frames"),
        (picture(0)[None], (3, 8, 8), "has 1 frames and the canvas asks for 3"),
        (picture(0).astype(np.float32), (8, 8), "array of float32; pixels are uint8"),
        (np.full((4, 4, 3), np.nan), (8, 8), "float64 with 48 NaN"),
        (picture(0)[..., 0], (8, 8), r"shape \(8, 8\); a picture is"),
        (b"text", (8, 8), "4 bytes cannot be read: no image format"),
        (encoded(picture(0, (64, 64)))[:120], (8, 8), "cannot be read"),
        (Path("clip.mp4"), (8, 8), "unpack it to a folder of frames"),
        (Path("absent.png"), (8, 8), "absent.png does not exist"),
    ],
)
def test_what_is_no_picture_is_refused(media, canvas, said):
    with pytest.raises(MediaError, match=said):
        read_pixels(media, canvas)


def test_a_picture_of_16_bits_is_refused(tmp_path):
    Image.fromarray(np.zeros((4, 4), np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(MediaError, match="more than 8 bits"):
        read_pixels(tmp_path / "deep.png", (4, 4))


def test_a_canvas_of_one_number_is_refused():
    with pytest.raises(ValueError, match=r"canvas \(8,\): give"):
        read_pixels(picture(0), (8,))


# -- faults --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"prompt": "  "}, r"'one': prompt is '  '; give a text"),
        ({"score_chosen": float("nan")}, "'one': score_chosen is nan; leave an unknown score out"),
        ({"score_chosen": 0.1}, "'one': chosen scores 0.1, lower than rejected with 0.25; swap them"),
        ({"score_chosen": "high"}, "score_chosen is 'high'; give a number or null"),
        ({"prob_chosen": 1.5}, "'one': prob_chosen is 1.5; a probability"),
        ({"id": "two"}, "the id 'two' occurs twice"),
        ({"id": 1}, "captions.jsonl:1: no id; it is the stem"),
        ({"id": "three"}, r"'three': no picture in chosen/ and rejected/ \(there is a caption only\)"),
    ],
)
def test_a_faulty_caption_is_refused_on_loading(folder, row, said):
    edit(folder, **row)
    with pytest.raises(PairError, match=said):
        load_pairs(folder)


def test_a_missing_partner_is_named(folder):
    (folder / "rejected" / "one.png").unlink()
    with pytest.raises(PairError, match=r"'one': no picture in rejected/ \(chosen/ has one\)"):
        load_pairs(folder)


def test_two_files_of_one_stem_are_named(folder):
    Image.fromarray(picture(0)).save(folder / "chosen" / "one.jpg")
    with pytest.raises(PairError, match=r"'one': chosen/ has both one.jpg and one.png"):
        load_pairs(folder)


def test_a_folder_without_captions_says_what_to_write(folder):
    (folder / "captions.jsonl").unlink()
    with pytest.raises(PairError, match=r"has no captions; write captions\.jsonl"):
        load_pairs(folder)


def test_two_kinds_of_captions_are_refused(folder):
    (folder / "captions").mkdir()
    with pytest.raises(PairError, match="keep one of them"):
        load_pairs(folder)


def test_a_missing_side_is_named(folder):
    (folder / "rejected").rename(folder / "refused")
    with pytest.raises(PairError, match="rejected/ is missing beside chosen/"):
        load_pairs(folder)


def test_three_faults_are_shown_and_all_are_counted(tmp_path):
    rows = [{"prompt": "x", "chosen": f"{i}.png", "rejected": "b.png"} for i in range(5)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n{")
    with pytest.raises(
        PairError, match=r"6 faults in 6 rows: .*0.png does not exist.*; and 3 more$"
    ) as caught:
        load_pairs(tmp_path / "rows.jsonl")
    assert str(caught.value).count("does not exist") == 3


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("[1]", "rows.jsonl:1: list where an object"),
        ('{"prompt": "x"}', "rows.jsonl:1: no chosen, rejected; it has prompt"),
        ('{"prompt": "x", "chosen": 3, "rejected": "b"}', "rows.jsonl:1: chosen: int is no picture"),
        ("", "no pairs; it is empty"),
    ],
)
def test_a_faulty_line_is_named(tmp_path, line, said):
    (tmp_path / "rows.jsonl").write_text(line)
    with pytest.raises(PairError, match=said):
        load_pairs(tmp_path / "rows.jsonl")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"label_0": 0.3}, r"row 0: labels 0.3, 1.0; known are"),
        ({"label_0": None, "best_image_uid": None}, "row 0: neither label_0 nor best_image_uid"),
    ],
)
def test_odd_labels_are_refused(tmp_path, change, said):
    with pytest.raises(PairError, match=said):
        load_pairs(write_parquet([picks()[0] | change], tmp_path / "picks.parquet"))


def test_unknown_columns_are_listed_with_those_wanted(tmp_path):
    with pytest.raises(PairError, match="columns are text, image; wanted are prompt, chosen, rejected"):
        load_pairs(write_parquet([{"text": "a", "image": b"x"}], tmp_path / "t.parquet"))


def test_a_broken_parquet_file_is_named(tmp_path):
    (tmp_path / "t.parquet").write_bytes(b"PAR")
    with pytest.raises(PairError, match=r"t.parquet is no readable parquet file"):
        load_pairs(tmp_path / "t.parquet")


def test_what_is_not_there_lists_what_is_accepted(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist; pairs are read from a folder"):
        load_pairs(tmp_path / "absent")
    with pytest.raises(PairError, match="no pairs in it"):
        load_pairs(tmp_path)
    (tmp_path / "x.csv").write_text("")
    with pytest.raises(PairError, match=r"not read from \.csv files"):
        load_pairs(tmp_path / "x.csv")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rejected": picture(100)}, "the same picture; leave the pair out"),
        ({"rejected": picture(1, (8, 4))}, r"8 x 8 and 8 x 4 \(height x width\); --resize"),
        ({"rejected": picture(1)[None]}, "one is a picture and the other a video"),
        ({"rejected": b"text"}, "rejected: 4 bytes cannot be read"),
        ({"chosen": np.full((8, 8, 3), np.nan, np.float32)}, "chosen: an array of float32 with 192 NaN"),
        ({"chosen": Path("absent.png")}, "chosen absent.png does not exist"),
        ({"prompt": ""}, "prompt is ''"),
        ({"score_rejected": float("inf")}, "score_rejected is inf"),
    ],
)
def test_check_pairs_refuses(changes, said):
    with pytest.raises(PairError, match=said):
        check_pairs([pair("good"), pair("bad", **changes)])


def test_a_truncated_picture_is_found_by_check_pairs(folder):
    file = folder / "rejected" / "two.png"
    file.write_bytes(file.read_bytes()[:60])
    with pytest.raises(PairError, match=r"'two': rejected: .*two.png cannot be read"):
        check_pairs(load_pairs(folder))


def test_equal_ids_with_different_prompts_are_refused():
    with pytest.raises(PairError, match="'one': the id occurs twice, with different prompts"):
        check_pairs([pair(), pair(prompt="other")])


def test_no_pairs_are_refused():
    with pytest.raises(PairError, match="no pairs"):
        check_pairs([])


def test_resize_allows_different_sizes():
    check_pairs([pair(rejected=picture(1, (8, 4)))], resize=True)


def test_decode_limits_the_work():
    bad = pair("bad", rejected=b"text")
    check_pairs([pair("a"), bad, pair("b")], decode=2)
    with pytest.raises(PairError):
        check_pairs([pair("a"), bad, pair("b")], decode=3)


def test_saving_keeps_files_and_encoded_bytes_as_they_are(tmp_path):
    jpeg, file = encoded(picture(9), "JPEG"), tmp_path / "x.PNG"
    file.write_bytes(encoded(picture(70)))
    save_pairs([pair("a/b", chosen=jpeg, rejected=file)], tmp_path / "pairs")
    (found,) = load_pairs(tmp_path / "pairs")
    assert found.chosen.read_bytes() == jpeg
    assert found.chosen.suffix == ".jpg"
    assert found.rejected.read_bytes() == file.read_bytes()
    assert "/" not in found.id


def test_saving_over_pairs_is_refused(folder):
    with pytest.raises(FileExistsError, match="holds pairs already"):
        save_pairs([pair()], folder)
