"""Who is rendered and what their bodies do: the cast, glasses, masks, factors of pulse and breath, recorded waves."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fastmag.errors import InputError
from fastmag.synthetic import Member, Settings, Shot, cast, magnified, recordings, render_cells, render_clip
from fastmag.synthetic.body import GLASSES
from fastmag.synthetic.cast import draw
from fastmag.synthetic.person import make_person
from fastmag.synthetic.wave_files import excerpt, read_wave

SMALL = {"size": (72, 96), "texture_rows": 64, "detail": 0.4, "antialias": 1}
WAVES = Path(__file__).parents[2] / "shared/data/waveforms"


@pytest.mark.parametrize("seed", [0, 5])
def test_the_cast_has_the_papers_proportions(seed):
    people = cast(seed, 25)
    assert people == cast(seed, 25)
    assert sum(not m.woman for m in people) == 17
    assert Counter(m.skin_type for m in people) == {1: 1, 2: 12, 3: 10, 4: 2}
    assert sum(m.glasses for m in people) == 9
    hair, made_up = [m for m in people if m.facial_hair], [m for m in people if m.makeup]
    assert (len(hair), len(made_up)) == (8, 4)
    assert not any(m.woman for m in hair)
    assert all(m.woman for m in made_up)
    assert len({m.seed for m in people}) == 25


def test_other_casts_are_rounded_and_differ():
    fifty = cast(0, 50)
    assert sum(m.woman for m in fifty) == 16
    assert sum(m.glasses for m in fifty) == 18
    assert len(cast(0, 1)) == 1
    assert len(cast(3, 7)) == 7
    assert cast(0, 25) != cast(1, 25)
    assert not {m.seed for m in cast(0, 25)} & {m.seed for m in cast(1, 25)}


def test_recordings_name_every_person_and_task_once():
    all_of_them = recordings(2, 3, "AD")
    assert [r.name for r in all_of_them] == [f"person-{i:03d}-{task}" for i in range(3) for task in "AD"]
    assert len({r.seed for r in all_of_them}) == 6
    assert all_of_them[0].member == all_of_them[1].member == cast(2, 3)[0]


def test_people_drawn_at_random_have_every_skin_and_some_glasses():
    people = [draw(seed) for seed in range(300)]
    assert {m.skin_type for m in people} == {1, 2, 3, 4, 5, 6}
    assert 0.2 < np.mean([m.glasses for m in people]) < 0.4
    assert 0.05 < np.mean([m.makeup for m in people]) < 0.3
    assert 0.1 < np.mean([m.facial_hair for m in people]) < 0.4


def test_glasses_carry_no_pulse_and_hide_skin():
    with_them = make_person(Member(3, False, 2, glasses=True), texture_rows=256)
    without = make_person(Member(3, False, 2), texture_rows=256)
    added = len(with_them.vertices) - len(without.vertices)
    assert added > 200
    rows, columns = with_them.textures[0].shape[:2]
    at = with_them.uv[-added:] * [columns / 1.5, rows]
    for texture in with_them.textures:
        around = texture[(at[:, 1]).astype(int)[:, None] + [-1, 0, 1], (at[:, 0]).astype(int)[:, None]]
        assert not around[..., 3:6].any()
        assert texture[..., 3:6].any()
    options = {"amplitude": 0.005, "background": "plain", "seconds": 0.1, "noise": 0.0, "size": (246, 329)}
    bare = Shot(1, Settings(person=Member(3, False, 2), **options))
    framed = Shot(1, Settings(person=Member(3, False, 2, glasses=True), **options))
    rim = _seen(framed, added)
    assert rim.sum() > 60
    assert framed.instant(0)[1][rim].max() < 0.02 * bare.instant(0)[1][rim].max()


def _seen(shot: Shot, last: int) -> np.ndarray:
    """Pixels that show nothing but the last vertices of the body."""
    buffers = shot._buffers()
    shot._shaded(0, buffers, 1.0)
    h, w = shot.settings.size
    faces = buffers.face.reshape(h, 2, w, 2)
    first = len(shot.person.vertices) - last
    of_glasses = np.where(faces >= 0, shot.person.faces[faces, 0] >= first, False)
    return of_glasses.all((1, 3))


def test_makeup_hides_a_part_of_the_pulse():
    plain, made_up = (make_person(Member(4, True, 3, makeup=m), texture_rows=128).textures[0] for m in (False, True))
    face = plain[..., 4] > 0.6
    ratio = made_up[face][:, 4] / plain[face][:, 4]
    assert 0.3 < np.percentile(ratio, 5) < 0.85
    assert not np.allclose(plain[..., :3], made_up[..., :3])


def test_a_pulse_factor_is_the_true_magnified_video():
    options = {"task": "C", "seconds": 0.4, "noise": 1.0, "amplitude": 0.006, **SMALL}
    clip = render_clip(5, **options)
    truth = render_clip(5, pulse_factor=21.0, **options)
    grown = magnified(clip, 20.0)
    assert np.abs(grown.astype(int) - truth.frames).max() <= 1  # each is rounded where the other is not
    assert np.abs(truth.frames.astype(int) - clip.frames).max() > 5
    still = render_clip(5, pulse_factor=0.0, **options)
    none = render_clip(5, pulse=False, **options)
    np.testing.assert_array_equal(still.frames, none.frames)
    np.testing.assert_array_equal(clip.p, truth.p)


def test_a_breath_factor_moves_the_torso_in_proportion():
    options = {"seconds": 4, "background": "plain", "noise": 0.0, "pulse": False, "depth": 1.0, **SMALL, "detail": 1.0}
    places = {}
    for factor in (0.0, 1.0, 3.0):
        shot, buffers = Shot(8, Settings(breath_factor=factor, **options)), None
        buffers = shot._buffers()
        top = []
        for t in (0, 40, 90):
            shot._visible(t, buffers)
            top.append(buffers.screen[shot.person.offsets[1, :, 1] > 0.39, 1].mean())
        places[factor] = np.array(top)
    moved, more = places[1.0] - places[0.0], places[3.0] - places[0.0]
    np.testing.assert_allclose(more, 3 * moved, rtol=0.03, atol=1e-3)
    rise = -0.4 * shot.breath[[0, 40, 90]] * shot.camera.scale * 72
    np.testing.assert_allclose(moved, rise, rtol=0.25, atol=0.02)
    assert np.abs(moved).max() > 0.2


def test_a_breath_lifts_the_shoulders_and_hardly_the_head():
    options = {"seconds": 4, "background": "plain", "noise": 0.0, "depth": 1.0, **SMALL}
    frames = {f: render_clip(2, breath_factor=f, **options).frames.astype(int) for f in (0.0, 4.0)}
    clip = render_clip(2, breath_factor=4.0, **options)
    change = np.abs(frames[4.0] - frames[0.0]).max(-1).mean(0)
    assert change[clip.torso].mean() > 3 * change[clip.skin].mean()
    assert clip.breath.shape == clip.p.shape


def test_a_short_clip_breathes_and_moves_as_a_long_one_does():
    for seed in range(40):
        shot = Shot(seed, Settings(seconds=0.2, task="B", person=1, **SMALL))
        assert np.abs(shot.breath).max() < 4
        assert np.abs(shot.motion.shift).max() < 0.11
        assert np.abs(shot.motion.pitch).max() < 40


def test_masks_of_skin_and_torso():
    shot = Shot(3, Settings(seconds=0.2, background="plain", **SMALL))
    skin, torso = shot.masks(2)
    quiet = Shot(3, Settings(seconds=0.2, background="plain", pulse=False, **SMALL))
    np.testing.assert_array_equal(quiet.masks(2)[0], skin)
    assert skin.sum() > 300
    assert torso.sum() > 300
    rows = np.arange(72)[:, None]
    assert (rows * torso).sum() / torso.sum() > (rows * skin).sum() / skin.sum() + 15
    assert not torso[:20].any()
    assert (skin & torso).mean() < 0.02
    green = shot.instant(2)[1][..., 1]
    assert green[skin].min() > 0
    assert (green[~skin] > 0.5 * np.percentile(green[green > 0], 90)).sum() == 0


def test_a_part_of_a_recording_is_that_part():
    options = {"seconds": 2, "task": "T", "person": cast(0, 3)[1], **SMALL}
    whole, part = render_clip(6, **options), render_clip(6, start=20, stop=26, **options)
    np.testing.assert_array_equal(part.frames, whole.frames[20:26])
    for name in ("p", "breath", "yaw"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[20:26])
    cells = render_cells(6, start=20, stop=26, **options)
    np.testing.assert_array_equal(cells.p, part.p)
    assert cells.cells.shape[0] == 6
    for start, stop in ((-1, 3), (5, 5), (0, 61)):
        with pytest.raises(InputError, match="not within"):
            render_clip(6, start=start, stop=stop, **options)


def write_wave(path, hz: float, beats: float, seconds: float = 30.0, header: bool = True) -> None:
    t = np.arange(int(seconds * hz)) / hz
    wave = np.sin(2 * np.pi * beats / 60 * t) + 0.4 * np.sin(4 * np.pi * beats / 60 * t)
    lines = ["time,PPG"] if header else []
    path.write_text(
        "\n".join(lines + [f"{a:.5f},{b:.6f}" if header else f"{b:.6f}" for a, b in zip(t, wave, strict=True)])
    )


def test_a_recorded_pulse_keeps_its_rate_and_darkens_the_skin(tmp_path):
    write_wave(tmp_path / "real.csv", 125.0, 93.0)
    shot = Shot(0, Settings(seconds=10, wave=tmp_path / "real.csv", **SMALL))
    assert shot.bpm == pytest.approx(93, abs=0.5)
    spectrum = np.abs(np.fft.rfft(shot.p * np.hanning(300), 4096))
    assert 60 * np.fft.rfftfreq(4096, 1 / 30)[spectrum.argmax()] == pytest.approx(93, abs=1)
    assert shot.p.std() == pytest.approx(1, abs=1e-3)
    rng = np.random.default_rng([0, 5])
    np.testing.assert_allclose(shot.p, -excerpt(rng, tmp_path / "real.csv", "pulse", 300, 30.0), atol=1e-5)
    write_wave(tmp_path / "plain.csv", 50.0, 60.0, header=False)
    wave, hz = read_wave(f"{tmp_path / 'plain.csv'}@50")
    assert (hz, len(wave)) == (50.0, 1500)


def test_a_recorded_breath_is_the_breath(tmp_path):
    write_wave(tmp_path / "air.csv", 25.0, 15.0, seconds=60)
    shot = Shot(0, Settings(seconds=30, breath_wave=f"{tmp_path / 'air.csv'}:PPG", depth=0.5, **SMALL))
    spectrum = np.abs(np.fft.rfft(shot.breath * np.hanning(900), 8192))
    assert 60 * np.fft.rfftfreq(8192, 1 / 30)[spectrum.argmax()] == pytest.approx(15, abs=0.5)
    assert shot.breath.std() == pytest.approx(0.5 / np.sqrt(2), rel=0.01)


@pytest.mark.parametrize(
    ("file", "kind", "hz", "length", "rate"),
    [
        ("heartpy/data.csv@100", "pulse", 100, 2483, (50, 70)),
        ("heartpy/data2.csv", "pulse", 117, 15000, (40, 180)),
        ("heartpy/data3.csv:hr", "pulse", 100.4, 68475, (40, 210)),
        ("neurokit_v1_bio_100Hz.csv:RSP@100", "breath", 100, 15000, (16, 21)),
        ("wfdb/v102s.hea", "pulse", 250, 75000, (40, 180)),
        ("wfdb/v102s.hea", "breath", 250, 75000, (6, 30)),
        ("wfdb/a103l.hea:PLETH", "pulse", 250, 82500, (40, 180)),
    ],
)
def test_real_recordings_are_read(file, kind, hz, length, rate):
    if not WAVES.is_dir():
        pytest.skip("no recordings at ../shared/data/waveforms")
    wave, found = read_wave(WAVES / file, kind)
    assert found == pytest.approx(hz, rel=0.01)
    assert abs(len(wave) - length) <= 1
    part = excerpt(np.random.default_rng(0), WAVES / file, kind, 600, 30.0)
    spectrum = np.abs(np.fft.rfft(part * np.hanning(600), 8192))
    assert rate[0] < 60 * np.fft.rfftfreq(8192, 1 / 30)[spectrum.argmax()] < rate[1]


def test_wfdb_samples_are_those_of_the_header():
    if not WAVES.is_dir():
        pytest.skip("no recordings at ../shared/data/waveforms")
    for name, column in (("v102s", "PLETH"), ("v102s", "RESP"), ("a103l", "II"), ("a103l", "PLETH")):
        text = (WAVES / f"wfdb/{name}.hea").read_text()
        line = next(line.split() for line in text.splitlines() if line.endswith(column))
        wave, _ = read_wave(WAVES / f"wfdb/{name}.hea:{column}")
        assert wave[0] == float(line[5])  # the header's initial value
        if name == "a103l":  # v102s was cut to 12 bits after its checksum was taken
            assert int(wave.sum()) & 0xFFFF == int(line[6]) & 0xFFFF


@pytest.mark.parametrize(
    ("text", "spec", "said"),
    [
        (None, "absent.csv", "no recording at"),
        ("1\n2\n", "w.csv@50", "holds 2 lines"),
        ("1\n2\n" * 50, "w.csv", "samples per second"),
        ("1\n2\n" * 50, "w.csv@50", "lasts 2.0 s"),
        ("5\n" * 900, "w.csv@50", "no wave"),
        ("time,ppg\n" + "0.1,x\n" * 50, "w.csv", "not a table"),
        ("a,b\n" + "1,2\n" * 50, "w.csv:c@50", "no column 'c'"),
        ("1\n2\n" * 50, "w.csv@1", "expected 4 to"),
    ],
)
def test_bad_recordings_are_refused(tmp_path, text, spec, said):
    if text is not None:
        (tmp_path / "w.csv").write_text(text)
    with pytest.raises(InputError, match=said):
        Shot(0, Settings(seconds=4, wave=str(tmp_path / spec), **SMALL))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: cast(0, 0), "one person at least"),
        (lambda: recordings(0, 2, "AX"), "tasks must be"),
        (lambda: recordings(0, 2, "AA"), "tasks must be"),
        (lambda: Member(0, False, 7), "skin_type must be"),
        (lambda: Settings(pulse_factor=-1.0), "pulse_factor must be"),
        (lambda: Settings(breath_factor=float("nan")), "breath_factor must be"),
        (lambda: Settings(wave="w.csv", bpm=60.0), "not both"),
    ],
)
def test_bad_people_are_refused(make, said):
    with pytest.raises(InputError, match=said):
        make()


def test_a_member_is_a_record_that_can_change():
    someone = cast(0, 25)[0]
    bare = make_person(replace(someone, glasses=False), texture_rows=64, detail=0.4)
    framed = make_person(replace(someone, glasses=True), texture_rows=64, detail=0.4)
    np.testing.assert_array_equal(bare.vertices, framed.vertices[: len(bare.vertices)])
    assert GLASSES == 4
