"""Sound, subtitles and titles pass from file to file untouched and in step."""

from __future__ import annotations

import av
import clips
import pytest

from fastmag.video import probe


@pytest.mark.parametrize("start", [0.0, 0.35])
@pytest.mark.parametrize(
    "extension, codec, target",
    [(".mp4", "aac", ".mp4"), (".mp4", "aac", ".mov"), (".mp4", "aac", ".mkv"), (".mkv", "libmp3lame", ".mp4"),
     (".mkv", "libopus", ".webm"), (".mkv", "pcm_s16le", ".avi"), (".mov", "pcm_s16le", ".mkv"),
     (".mkv", "flac", ".mkv"),
     (".mp4", "aac", ".avi")],
)  # fmt: skip
def test_sound_is_copied_bit_by_bit_and_stays_in_step(tmp_path, extension, codec, target, start):
    source = tmp_path / f"a{extension}"
    clips.make_clip(source, clips.smooth(45), sound=codec, sound_start=start)
    if target == ".avi" and start:
        clips.copy_warned(source, tmp_path / "b.avi", "sound moves by .*mkv")
        return
    result = clips.copy(source, tmp_path / f"b{target}")
    old, new = clips.packets(source, "audio"), clips.packets(result, "audio")
    assert len(old) > 14 and b"".join(b for _, b in new) == b"".join(b for _, b in old)
    lag = (new[0][0] - clips.times(result)[0]) - (old[0][0] - clips.times(source)[0])
    tick = {".avi": 1 / 30, ".mkv": 1.1e-3, ".webm": 1.1e-3}  # what these containers can tell apart
    assert abs(lag) <= max(tick.get(extension, 0), tick.get(target, 0)) + 1e-6
    assert probe(result).has_audio


def test_start_of_a_broadcast_recording_moves_to_zero_with_its_sound(tmp_path):
    stamps = list(range(60, 105))
    source = clips.make_clip(tmp_path / "a.ts", clips.smooth(45), stamps=stamps, sound="aac", sound_start=2.2)
    assert clips.times(source)[0] == 2
    result = clips.copy(source, tmp_path / "b.mp4")
    assert -0.1 < clips.times(result)[0] < 0.1

    def lag(path):
        return float(clips.packets(path, "audio")[0][0]) - clips.times(path)[0]

    assert lag(result) == pytest.approx(lag(source), abs=1e-4)


def test_sound_that_does_not_fit_is_left_out_with_a_word(tmp_path):
    source = clips.make_clip(tmp_path / "a.mp4", clips.smooth(10), sound="aac")
    clips.copy_warned(source, tmp_path / "b.webm", r"aac.* left out: choose .*\.mp4")
    info = probe(tmp_path / "b.webm")
    assert info.codec == "vp9" and not info.has_audio


def test_titles_and_subtitles_are_kept(tmp_path):
    words = tmp_path / "words.srt"
    words.write_text("1\n00:00:00,100 --> 00:00:00,600\nhello\n\n2\n00:00:00,700 --> 00:00:01,200\nworld\n")
    bare = clips.make_clip(tmp_path / "bare.mp4", clips.smooth(45))
    source = tmp_path / "a.mkv"
    with av.open(str(bare)) as film, av.open(str(words)) as text, av.open(str(source), "w") as container:
        container.metadata["title"] = "a test"
        pairs = [(i, i.streams[0], container.add_stream_from_template(i.streams[0], opaque=True)) for i in (film, text)]
        for origin, stream, target in pairs:
            for packet in origin.demux(stream):
                if packet.size:
                    packet.stream = target
                    container.mux(packet)
    result = clips.copy(source, tmp_path / "b.mkv")
    assert clips.packets(result, "subtitle") == clips.packets(source, "subtitle") != []
    with av.open(str(result)) as container:
        assert container.metadata["title"] == "a test"
