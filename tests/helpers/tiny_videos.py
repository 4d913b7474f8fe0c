"""Tiny videos with a tone."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.uint8]
NTSC = Fraction(30000, 1001)


def ramp(number: int, height: int = 48, width: int = 64) -> Frame:
    """A smooth image that moves with ``number``."""
    rows, columns = np.mgrid[:height, :width]
    channels = [60 + columns + number, 200 - rows - number, np.full((height, width), 100 + number)]
    return np.stack(channels, axis=-1).astype(np.uint8)


def video(
    path: Path,
    frames: int | Sequence[Frame] = 12,
    *,
    draw: Callable[[int], Frame] = ramp,
    rate: Fraction = NTSC,
    codec: str = "libx264",
    sound: str | None = "aac",
    sound_rate: int = 44100,
    times: Sequence[Fraction] | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Writes a video.

    Args:
        path: the suffix selects the container.
        frames: images, or the number of images drawn by ``draw``.
        draw: draws the image of a frame number.
        rate: frames per second.
        codec: video codec.
        sound: codec of a tone of 440 Hz; ``None`` for no sound.
        sound_rate: samples per second.
        times: times of the frames in seconds; default: from ``rate``.
        options: container options.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    images = [draw(number) for number in range(frames)] if isinstance(frames, int) else frames
    with av.open(str(path), "w", options=options or {}) as container:
        image = container.add_stream(codec, rate=rate)
        image.height, image.width = images[0].shape[:2]
        image.pix_fmt = {"gif": "rgb8"}.get(codec, "yuv420p")
        tick = Fraction(1, 90000) if times else 1 / rate
        image.codec_context.time_base = tick
        image.codec_context.gop_size = 6
        tone = container.add_stream(sound, rate=sound_rate) if sound else None
        if tone is not None:
            tone.layout = "mono"
        for number, pixels in enumerate(images):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = (round(times[number] / tick) if times else number), tick
            container.mux(image.encode(frame))
        container.mux(image.encode())
        if tone is not None:
            for chunk in _tone(round(len(images) / rate * sound_rate), sound_rate, whole=sound == "pcm_s16le"):
                container.mux(tone.encode(chunk))
            container.mux(tone.encode())
    return path


def _tone(samples: int, rate: int, *, whole: bool) -> list[av.AudioFrame]:
    wave = 0.3 * np.sin(2 * np.pi * 440 * np.arange(samples) / rate)
    chunks = []
    for start in range(0, samples - 960, 960):  # what Opus takes; AAC collects for itself
        piece = wave[None, start : start + 960]
        values = (piece * 32767).astype(np.int16) if whole else piece.astype(np.float32)
        chunk = av.AudioFrame.from_ndarray(values, format="s16" if whole else "fltp", layout="mono")
        chunk.sample_rate, chunk.pts, chunk.time_base = rate, start, Fraction(1, rate)
        chunks.append(chunk)
    return chunks


def sound_packets(path: Path) -> list[bytes]:
    """The encoded sound packets of a video."""
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


def turned(path: Path) -> Path:
    """Sets the display rotation of an MP4 to 90 degrees clockwise."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40  # the matrix of the first track, which is the image's
    one = 1 << 16
    matrix = [0, one, 0, -one, 0, 0, 0, 0, 1 << 30]
    data[at : at + 36] = b"".join(value.to_bytes(4, "big", signed=True) for value in matrix)
    path.write_bytes(data)
    return path


def cut_inside_frame(path: Path, number: int) -> Path:
    """Truncates a video in the middle of its encoded frame ``number``."""
    with av.open(str(path)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    position, size = packets[number]
    assert position is not None
    path.write_bytes(path.read_bytes()[: position + size // 2])
    return path
