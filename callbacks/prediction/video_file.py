"""Video files with the audio of another file, complete or not there at all."""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TypeAlias

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream
from numpy.typing import NDArray

from callbacks.output_file import output_path

_AudioPacket: TypeAlias = "Packet[AudioStream]"  # generic in the stubs only


@dataclass(frozen=True, kw_only=True)
class VideoCodec:
    """How the frames of a video are stored.

    Args:
        name: FFmpeg's name of the encoder.
        title: the name that users know.
        given: format of the frames that are written, in FFmpeg's words: ``rgb24``, ``rgba`` or ``gray``.
        stored: format of the stored pixels.
        options: options of the encoder.
        suffix: suffix of the file; ``None`` for that of ``result_suffix``.
    """

    name: str
    title: str
    given: str
    stored: str
    options: Mapping[str, str]
    suffix: str | None = None


#: For videos to watch, frames ``(H, W, 3)``. Brush strokes are fine detail, which H.264 treats as noise: CRF 18 keeps
#: them, x264's default of 23 blurs them.
H264 = VideoCodec(
    name="libx264", title="H.264", given="rgb24", stored="yuv420p", options={"crf": "18", "preset": "medium"}
)
#: For cut-outs, frames ``(H, W, 4)``: a format with alpha that video editors open.
PRORES = VideoCodec(
    name="prores_ks",
    title="ProRes 4444 with alpha",
    given="rgba",
    stored="yuva444p10le",
    options={"profile": "4444", "vendor": "apl0"},
    suffix=".mov",
)
#: For masks, frames ``(H, W)``: every value is kept.
FFV1 = VideoCodec(name="ffv1", title="FFV1, lossless", given="gray", stored="gray", options={}, suffix=".mkv")

_FORMATS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska"}
_MIN_TICKS = 10_000  # per second of the time base
_BT709 = 1
_COPIED_METADATA = ("title", "artist", "comment", "copyright", "creation_time", "date")


def result_suffix(source: Path) -> str:
    """Chooses the suffix of the result for a video.

    It is the suffix of the video if that format can hold H.264, otherwise ``.mp4``; and ``.mkv``, which holds any
    codec, if the format cannot hold the audio as it is.

    >>> result_suffix(Path("gone.MOV"))
    '.mov'
    """
    suffix = source.suffix.lower() if source.suffix.lower() in _FORMATS else ".mp4"
    try:
        with _open_source(source) as video:
            names = {stream.codec.canonical_name for stream in video.streams.audio}
    except (av.FFmpegError, OSError):  # reported when the video is read
        return suffix
    if not names:
        return suffix
    with av.open(os.devnull, "w", format=_FORMATS[suffix]) as video:
        return suffix if names <= video.supported_codecs else ".mkv"


@contextmanager
def _open_source(path: Path) -> Iterator[InputContainer]:
    """Opens a file, never a protocol of FFmpeg such as ``concat:``, whatever its name."""
    with path.open("rb") as file, av.open(file, "r", metadata_errors="replace") as video:
        yield video


class VideoFile:
    """Writes frames one by one, and copies the audio of another video.

    Use it in a ``with`` block: the file gets its name at the end, and an exception leaves no file. Frames keep their
    time stamps. Odd sizes are stored without chroma subsampling (4:4:4), which not every player supports.

    Args:
        target: the final file: ``.mp4``, ``.mov`` or ``.mkv``.
        source: the video whose audio, metadata and pixel aspect ratio are copied.
        size: height and width of the frames.
        rate: mean number of frames per second.
        codec: how the frames are stored.
        sound: whether the audio is copied.
    """

    def __init__(
        self,
        target: Path,
        *,
        source: Path,
        size: tuple[int, int],
        rate: Fraction,
        codec: VideoCodec = H264,
        sound: bool = True,
    ) -> None:
        self.target, self.source, self.size, self.codec, self.sound = target, source, size, codec, sound
        self.rate = rate.limit_denominator(1001)  # the mean of a variable frame rate can be any fraction
        self.time_base = time_base(self.rate)
        self._open = ExitStack()

    def __enter__(self) -> "VideoFile":
        """Opens both files.

        Raises:
            OutputError: if the target cannot be written.
        """
        format_ = _FORMATS[self.target.suffix]
        options = {} if format_ == "matroska" else {"movflags": "faststart"}  # index first, for streaming
        with ExitStack() as stack:
            partial = stack.enter_context(output_path(self.target))
            source = stack.enter_context(_open_source(self.source))
            video = stack.enter_context(av.open(str(partial), "w", format=format_, options=options))
            video.metadata.update({key: source.metadata[key] for key in _COPIED_METADATA if key in source.metadata})
            self._container, self._video = video, self._add_video(video, source)
            self._audio = _AudioCopy(source, video, sound=self.sound)
            self._open = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Completes the video, or removes it after an exception.

        Raises:
            OutputError: if it cannot be written.
        """
        if error is not None:
            self._open.__exit__(kind, error, trace)
            return
        with self._open:
            self._container.mux(self._video.encode())
            self._audio.copy()

    def write(self, pixels: NDArray[np.uint8], time: Fraction) -> None:
        """Writes the next frame.

        Args:
            pixels: (H, W, 3) RGB, or as the codec takes them.
            time: presentation time in seconds, later than that of the previous frame.
        """
        frame = VideoFrame.from_ndarray(pixels, format=self.codec.given)
        if self.codec.given != self.codec.stored:
            frame = frame.reformat(
                format=self._video.pix_fmt, dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
            )
        frame.pts, frame.time_base = round(time / self.time_base), self.time_base
        self._container.mux(self._video.encode(frame))
        self._audio.copy(until=time)

    def _add_video(self, container: OutputContainer, source: InputContainer) -> VideoStream:
        stream = container.add_stream(self.codec.name, rate=self.rate, options=dict(self.codec.options))
        assert isinstance(stream, VideoStream)
        odd = self.size[0] % 2 or self.size[1] % 2
        stream.height, stream.width = self.size
        stream.pix_fmt = "yuv444p" if self.codec.stored == "yuv420p" and odd else self.codec.stored
        context = stream.codec_context
        context.time_base = self.time_base
        if self.codec.given != self.codec.stored:
            context.colorspace = context.color_primaries = context.color_trc = _BT709
            context.color_range = ColorRange.MPEG
        if ratio := source.streams.video[0].sample_aspect_ratio:
            context.sample_aspect_ratio = ratio
        return stream


def time_base(rate: Fraction) -> Fraction:
    """Seconds per tick of a time base that is fine enough and in which a constant frame rate has whole ticks.

    >>> time_base(Fraction(30000, 1001)), time_base(Fraction(25))
    (Fraction(1, 30000), Fraction(1, 10000))
    """
    return Fraction(1, rate.numerator * -(-_MIN_TICKS // rate.numerator))


class _AudioCopy:
    """Copies the audio of ``source`` without decoding it, interleaved with the video; nothing without ``sound``."""

    def __init__(self, source: InputContainer, container: OutputContainer, *, sound: bool) -> None:
        self._container = container
        streams = source.streams.audio if sound else ()
        self._streams = {audio.index: container.add_stream_from_template(audio) for audio in streams}
        self._packets = self._intact(source.demux(source.streams.audio)) if self._streams else iter(())
        self._waiting: _AudioPacket | None = None

    def copy(self, *, until: Fraction | None = None) -> None:
        """Copies the packets that start before ``until`` seconds, or all that are left."""
        while packet := self._waiting or next(self._packets, None):
            self._waiting = packet
            start = (packet.dts or 0) * (packet.time_base or 0)
            if until is not None and start >= until:
                return
            self._waiting = None
            packet.stream = self._streams[packet.stream.index]
            self._container.mux(packet)

    def _intact(self, packets: Iterator[_AudioPacket]) -> Iterator[_AudioPacket]:
        """Skips damaged packets and the empty packet at the end."""
        with suppress(av.FFmpegError):  # the demuxer cannot continue after this place
            for packet in packets:
                if packet.size and packet.dts is not None and not packet.is_corrupt:
                    yield packet
