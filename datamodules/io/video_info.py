"""Opens video files and reads their properties."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer

from datamodules.errors import DataError
from datamodules.io.gif import gif_durations

# Containers to read. Others are playlists, which name further files.
_FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,avi,matroska,webm,wav,mp3,flac,ogg,mpegts,mpeg,asf,flv"
_DEFAULT_RATE = Fraction(25)  # of a video without a frame rate


@dataclass(frozen=True, kw_only=True)
class VideoInfo:
    """Properties of a video from its headers.

    Args:
        rate: average frame rate, in frames per second.
        time_base: unit of the time stamps, in seconds.
        seconds: duration of the video stream; ``None`` if unknown.
        packets: number of coded frames; ``None`` if unknown.
        audio_streams: number of audio streams.
    """

    rate: Fraction
    time_base: Fraction
    seconds: Fraction | None
    packets: int | None
    audio_streams: int

    @property
    def frames(self) -> int | None:
        """Approximate number of frames; ``None`` if unknown."""
        return self.packets or (None if self.seconds is None else round(self.seconds * self.rate))


@contextmanager
def open_video(path: Path) -> Iterator[InputContainer]:
    """Opens a file, never a URL or a protocol of FFmpeg, whatever its name.

    Raises:
        DataError: if it cannot be opened, or has no video stream.
    """
    if not path.is_file():
        raise DataError(f"{path}: cannot be read: there is no such file")
    if path.stat().st_size == 0:
        raise DataError(f"{path}: is empty (0 bytes); copy or download it again, or remove it")
    with path.open("rb") as file:
        try:
            container = av.open(file, "r", metadata_errors="replace", options={"format_whitelist": _FORMATS})
        except (av.FFmpegError, OSError) as error:
            reason = error.strerror or str(error)
            raise DataError(f"{path}: is not a video that can be read, or it is cut short ({reason})") from error
        with container:
            if not container.streams.video:
                raise DataError(f"{path}: has no video stream, only sound")
            yield container


def read_info(container: InputContainer) -> VideoInfo:
    """Properties of an open video."""
    stream = container.streams.video[0]
    time_base = stream.time_base or Fraction(1, 1000)
    rate = stream.average_rate or stream.guessed_rate or _DEFAULT_RATE
    lengths = [stream.duration * time_base] if stream.duration else []
    if stated := _stated_length(stream.metadata.get("DURATION", "")):
        lengths.append(stated)
    if stream.frames:  # AVI shortens its duration to the frames that exist
        lengths.append(stream.frames / rate)
    if not lengths and container.duration and not container.streams.audio:
        lengths.append(Fraction(container.duration, av.time_base))
    exact = stream.frames if "mp4" in container.format.name else 0  # other formats count empty frames
    return VideoInfo(
        rate=rate,
        time_base=time_base,
        seconds=max(lengths, default=None),
        packets=exact or None,
        audio_streams=len(container.streams.audio),
    )


def gif_info(path: Path) -> VideoInfo:
    """Properties of an animated GIF.

    Raises:
        DataError: if no frame can be decoded.
    """
    durations = gif_durations(path)
    if not durations:
        raise DataError(f"{path}: no frame of it can be decoded; copy or download it again, or leave it out")
    total = sum(durations, Fraction(0))
    return VideoInfo(
        rate=len(durations) / total, time_base=Fraction(1, 100), seconds=total, packets=len(durations), audio_streams=0
    )


def _stated_length(text: str) -> Fraction | None:
    """Seconds of ``01:02:03.004000000``, Matroska's format of a track's duration."""
    parts = text.split(":")
    try:
        hours, minutes, seconds = (Fraction(part) for part in parts)
    except ValueError:
        return None
    return (hours * 60 + minutes) * 60 + seconds
