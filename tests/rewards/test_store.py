"""The cache: what it keeps, in which order it forgets, and that damage costs a miss and nothing else."""

import pickle
import sqlite3
import subprocess
import sys
import threading

import numpy as np
import pytest

from rewards.base import Status
from rewards.cases import PartScore
from rewards.keys import MediaKeys, ScoreKeys, canonical_json, pixel_digest
from rewards.store import ENTRY_BYTES, INLINE_BYTES, Store


def image(number: int, size: int = 8) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (size, size, 3), dtype=np.uint8)


def entry(number: int, size: int = 8) -> tuple[bytes, bytes, np.ndarray]:
    pixels = image(number, size)
    return number.to_bytes(16, "big"), pixel_digest(pixels), pixels


def key(number: int) -> bytes:
    return (1 << 100 | number).to_bytes(16, "big")


@pytest.mark.parametrize("size", [8, 256])
def test_media_come_back_bit_for_bit_from_memory_and_from_disk(tmp_path, size):
    store = Store(tmp_path)
    media, digest, pixels = entry(1, size)
    store.put_media([(media, digest, pixels)])
    for _ in range(2):
        assert store.get_digests([media, key(9)]) == {media: digest}
        assert np.array_equal(store.get_pixels([digest])[digest], pixels)
        store.forget_memory()
    assert (len(list(tmp_path.glob("blobs/*/*.raw"))) == 1) is (pixels.nbytes > INLINE_BYTES)


def test_scores_come_back_with_parts_status_and_missing_values(tmp_path):
    store = Store(tmp_path)
    scores = {
        key(1): PartScore(0.25, {"count": 1.0, "color": float("nan")}, Status.OK, "a note"),
        key(2): PartScore(float("nan"), {}, Status.NA, None),
        key(3): PartScore(0.1 + 0.2, {}, Status.POLICY_FAIL),
    }
    store.put_scores(scores.items())
    store.forget_memory()
    held = store.get_scores([*scores, key(4)])
    assert set(held) == set(scores)
    assert repr(held[key(1)]) == repr(scores[key(1)])
    assert held[key(3)].value == 0.1 + 0.2
    assert held[key(2)].status == Status.NA


def test_another_store_on_the_same_folder_sees_what_was_written(tmp_path):
    media, digest, pixels = entry(1)
    Store(tmp_path).put_media([(media, digest, pixels)])
    other = Store(tmp_path)
    assert other.get_digests([media]) == {media: digest}
    assert np.array_equal(other.get_pixels([digest])[digest], pixels)


def test_another_process_shares_the_folder(tmp_path):
    code = (
        "import sys; from rewards.store import Store; from rewards.cases import PartScore;"
        "Store(sys.argv[1]).put_scores([(bytes(16), PartScore(0.5, {}))])"
    )
    store = Store(tmp_path)
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, timeout=60)
    assert store.get_scores([bytes(16)])[bytes(16)].value == 0.5


def test_least_recently_used_entries_go_first_when_bytes_run_out(tmp_path, monkeypatch):
    clock = iter(range(1, 10_000))
    monkeypatch.setattr("rewards.store._now", lambda: next(clock))
    cost = len(repr(0)) + 8 * 8 * 3 + 2 * ENTRY_BYTES + 60
    store = Store(tmp_path, max_bytes=10 * cost)
    for number in range(8):
        store.put_media([entry(number)])
    first = entry(0)
    store.get_digests([first[0]])
    store.get_pixels([first[1]])
    for number in range(8, 14):
        store.put_media([entry(number)])
    held = store.get_pixels([entry(number)[1] for number in range(14)])
    assert first[1] in held
    assert entry(1)[1] not in held
    assert entry(13)[1] in held
    assert store.stats()["bytes"] <= 10 * cost
    assert store.stats()["evicted"] > 0


def test_evicted_files_are_removed_from_disk(tmp_path):
    store = Store(tmp_path, max_bytes=500_000)
    for number in range(6):
        store.put_media([entry(number, 256)])
    files = list(tmp_path.glob("blobs/*/*.raw"))
    assert 1 <= len(files) <= 2
    assert sum(f.stat().st_size for f in files) <= 500_000


def test_bytes_are_counted_exactly_across_inserts_repeats_and_deletes(tmp_path):
    store = Store(tmp_path)
    for number in (1, 2, 1):
        store.put_media([entry(number)])
    store.put_scores([(key(1), PartScore(0.5, {}))])
    sql = sqlite3.connect(tmp_path / "index.sqlite3")
    assert sql.execute("SELECT SUM(size) FROM entries").fetchone()[0] == store.stats()["bytes"]
    assert store.stats()["images"] == store.stats()["links"] == 2
    assert store.stats()["scores"] == 1


def test_clear_forgets_everything_and_says_how_much(tmp_path):
    store = Store(tmp_path)
    store.put_media([entry(1), entry(2, 256)])
    held = store.stats()["bytes"]
    assert store.clear() == held > 256 * 256 * 3
    assert store.stats()["bytes"] == store.stats()["images"] == 0
    assert store.get_digests([entry(1)[0]]) == {}
    assert not (tmp_path / "blobs").exists()
    store.put_media([entry(3)])
    assert store.stats()["images"] == 1


@pytest.mark.parametrize("size", [8, 256])
def test_flipped_bit_in_a_blob_is_detected_and_dropped(tmp_path, size):
    store = Store(tmp_path)
    media, digest, pixels = entry(1, size)
    store.put_media([(media, digest, pixels)])
    files = list(tmp_path.glob("blobs/*/*.raw"))
    if files:
        data = bytearray(files[0].read_bytes())
        data[-1] ^= 1
        files[0].write_bytes(data)
    else:
        sql = sqlite3.connect(tmp_path / "index.sqlite3")
        (data,) = sql.execute("SELECT data FROM entries WHERE key = ?", [digest]).fetchone()
        sql.execute("UPDATE entries SET data = ? WHERE key = ?", [data[:-1] + bytes([data[-1] ^ 1]), digest])
        sql.commit()
    store.forget_memory()
    assert store.get_pixels([digest]) == {}
    assert store.stats()["corrupt"] == 1
    assert store.stats()["images"] == 0
    store.put_media([(media, digest, pixels)])
    store.forget_memory()
    assert len(files) == 1 or np.array_equal(store.get_pixels([digest])[digest], pixels)


@pytest.mark.parametrize(
    "data", [b"", b"{", b'{"dtype":"uint8","shape":[9,9,3]}\nxx', b"[1]\n", b"\x80\x04.", b"null\n"]
)
def test_blob_that_is_no_blob_is_a_miss(tmp_path, data):
    store = Store(tmp_path)
    sql = sqlite3.connect(tmp_path / "index.sqlite3")
    sql.execute("INSERT INTO entries VALUES (?, 1, 1, 1, ?)", [key(1), data])
    sql.execute("INSERT INTO entries VALUES (?, 2, 1, 1, ?)", [key(2), data])
    sql.commit()
    assert store.get_pixels([key(1)]) == {}
    assert store.get_scores([key(2)]) == {}
    assert store.stats()["corrupt"] == 2


def test_missing_blob_file_is_a_miss(tmp_path):
    store = Store(tmp_path)
    media, digest, pixels = entry(1, 256)
    store.put_media([(media, digest, pixels)])
    next(tmp_path.glob("blobs/*/*.raw")).unlink()
    store.forget_memory()
    assert store.get_pixels([digest]) == {}
    assert store.get_digests([media]) == {media: digest}


def test_damaged_index_is_put_aside_and_begun_anew(tmp_path, caplog):
    (tmp_path / "index.sqlite3").write_bytes(b"this is no database" * 100)
    store = Store(tmp_path)
    store.put_scores([(key(1), PartScore(0.5, {}))])
    assert store.stats()["scores"] == 1
    assert "damaged" in caplog.text
    assert len(list(tmp_path.glob("index.damaged-*"))) == 1


def test_unusable_folder_is_refused_with_the_way_out(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="REWRIGHT_CACHE"):
        Store(tmp_path / "file" / "cache")


def test_index_that_breaks_while_running_costs_misses_only(tmp_path, caplog):
    store = Store(tmp_path)
    sqlite3.connect(tmp_path / "index.sqlite3").execute("DROP TABLE entries")
    store.put_scores([(key(1), PartScore(0.5, {}))])
    assert store.get_scores([key(1)])[key(1)].value == 0.5
    store.forget_memory()
    assert store.get_scores([key(1)]) == {}
    assert store.counters["errors"] >= 2
    assert "going on without it" in caplog.text


def test_folder_comes_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("REWRIGHT_CACHE", str(tmp_path / "mine"))
    assert Store().folder == tmp_path / "mine"
    assert (tmp_path / "mine" / "index.sqlite3").exists()


def test_threads_can_read_and_write_at_once(tmp_path):
    store, errors = Store(tmp_path, memory_bytes=20_000), []

    def work(start: int) -> None:
        try:
            for number in range(start, start + 40):
                media, digest, pixels = entry(number % 60)
                store.put_media([(media, digest, pixels)])
                store.put_scores([(key(number), PartScore(number / 1000, {}))])
                held = store.get_pixels([digest])
                assert np.array_equal(held[digest], pixels)
                assert store.get_scores([key(number)])[key(number)].value == number / 1000
        except Exception as error:  # noqa: BLE001 - shown by the main thread
            errors.append(error)

    threads = [threading.Thread(target=work, args=(10 * i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert store.stats()["images"] == 60
    assert store.stats()["errors"] == 0


def test_memory_front_stays_within_its_bytes():
    store = Store(":memory:", memory_bytes=10_000)
    store.put_media([entry(number) for number in range(100)])
    assert store.stats()["memory_bytes"] <= 10_000
    assert len(store.get_digests([entry(number)[0] for number in range(100)])) == 100


def test_look_ups_of_many_keys_need_few_statements(tmp_path):
    store = Store(tmp_path)
    store.put_scores([(key(i), PartScore(0.5, {})) for i in range(1200)])
    store.forget_memory()
    statements = []
    store._sql().set_trace_callback(statements.append)
    assert len(store.get_scores([key(i) for i in range(1200)])) == 1200
    assert len(statements) == 3


def test_store_survives_a_pickle_round_trip(tmp_path):
    store = Store(tmp_path, max_bytes=12345)
    store.put_scores([(key(1), PartScore(0.5, {}))])
    copy = pickle.loads(pickle.dumps(store))  # noqa: S301 - our own object
    assert copy.max_bytes == 12345
    assert copy.get_scores([key(1)])[key(1)].value == 0.5


def test_only_uint8_pixels_are_stored():
    with pytest.raises(TypeError, match="uint8"):
        Store(":memory:").put_media([(key(1), key(2), np.zeros((2, 2, 3), np.float32))])


def test_media_key_depends_on_everything_an_image_depends_on():
    base = ("fp", "", 12, 3.0)
    keys = {MediaKeys(*base)("a dog", 1)}
    keys |= {MediaKeys(*base)("a dog", 2), MediaKeys(*base)("a cat", 1)}
    for changed in (
        ("other", "", 12, 3.0),
        ("fp", "ugly", 12, 3.0),
        ("fp", "", None, 3.0),
        ("fp", "", 12, None),
    ):
        keys.add(MediaKeys(*changed)("a dog", 1))
    assert len(keys) == 7
    assert MediaKeys(*base)("a dog", 1) in keys


def test_score_key_depends_on_everything_a_score_depends_on():
    base = (b"d" * 16, "a dog", '{"a":1}', "a red dog")
    keys = {ScoreKeys("fp")(*base), ScoreKeys("fp2")(*base)}
    keys |= {ScoreKeys("fp")(b"e" * 16, *base[1:]), ScoreKeys("fp")(base[0], "a cat", *base[2:])}
    keys |= {ScoreKeys("fp")(*base[:2], "{}", base[3]), ScoreKeys("fp")(*base[:3], "a blue dog")}
    keys.add(ScoreKeys("fp")(base[0], "a dog{", '"a":1}', base[3]))
    assert len(keys) == 7


def test_spec_is_canonical_whatever_the_order_of_its_keys():
    assert canonical_json({"b": 1, "a": [{"d": 2, "c": 3}]}) == canonical_json(
        {"a": [{"c": 3, "d": 2}], "b": 1}
    )


def test_equal_bytes_of_another_shape_have_another_digest():
    flat = np.arange(12, dtype=np.uint8)
    assert pixel_digest(flat.reshape(2, 2, 3)) != pixel_digest(flat.reshape(1, 4, 3))
    assert pixel_digest(flat.reshape(2, 2, 3)) == pixel_digest(np.asfortranarray(flat.reshape(2, 2, 3)))
