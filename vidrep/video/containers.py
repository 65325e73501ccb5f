"""Damage that shows in a video file's container: in the sizes that it declares, and in the checksums of Matroska.

Sizes are read from the headers of the outermost parts, a few bytes of each. A structure of another kind declares
nothing: trailing rubbish does not make a video damaged.
"""

import re
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

_MP4_BOXES = frozenset(
    b"ftyp moov mdat free skip wide uuid moof mfra sidx ssix styp emsg prft meta udta pnot PICT junk pdin".split()
)
_EBML, _SEGMENT, _CLUSTER = bytes.fromhex("1a45dfa3"), bytes.fromhex("18538067"), bytes.fromhex("1f43b675")
# What stands in a Segment: SeekHead, Info, Tracks, Cues, Attachments, Chapters, Tags, Void, CRC-32; and in a Cluster:
# Timestamp, Position, PrevSize, SilentTracks, SimpleBlock, BlockGroup, EncryptedBlock.
_IN_SEGMENT = "114d9b74 1549a966 1654ae6b 1c53bb6b 1941a469 1043a770 1254c367 ec bf e7 a7 ab 5854 a3 a0 af"
_CHECKSUM = b"\xbf\x84"  # a CRC-32 element of 4 bytes, the first one of what it guards
_MATROSKA_ELEMENTS = {_EBML, _SEGMENT, _CLUSTER, *map(bytes.fromhex, _IN_SEGMENT.split())}
_ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_OBJECTS = {
    _ASF_HEADER,
    bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c"),  # data
    bytes.fromhex("90080033b1e5cf1189f400a0c90349cb"),  # simple index
    bytes.fromhex("d329e2d6da35d111903400a0c90349be"),  # index
}
# The size of an MPEG-TS packet, and where in it the sync byte stands: plain, with time codes (Blu-ray), with parity.
_TS_PACKETS = ((188, 0), (192, 4), (204, 0))


def damage_of_container(path: Path, on_block: Callable[[], None]) -> str:
    """Describe what is missing or wrong in a video file by its container alone; '' if nothing is, or it does not show.

    Known are MP4 and MOV, Matroska and WebM, AVI, ASF, FLV and MPEG-TS, which declares no more than whole packets.
    Matroska's checksums, where its writer put them in, are compared with what the file holds, which reads all of it:
    `on_block` is called for every megabyte.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(1024)
            declared = _declared_by(head)(file, size) if head else None
            wrong = _wrong_checksums(file, size, on_block) if head.startswith(_EBML) else []
    except OSError as error:
        return f"it could not be read to its end ({error.strerror})"
    if declared is not None and declared > size:
        return f"cut short: it has {size} bytes, but should have at least {declared} by its container"
    if not wrong:
        return ""
    more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
    return f"the part of the file that begins at byte {wrong[0]} does not have its checksum{more}"


def _declared_by(head: bytes) -> Callable[[BinaryIO, int], int | None]:
    """Return what reads the declared size of a container that begins with `head`."""
    if head[4:8] in _MP4_BOXES:
        return _declared_by_mp4
    if head.startswith(_EBML):
        return _declared_by_matroska
    if head.startswith(b"RIFF") and head[8:12] == b"AVI ":
        return _declared_by_avi
    if head.startswith(_ASF_HEADER):
        return _declared_by_asf
    if head.startswith(b"FLV\x01"):
        return _declared_by_flv
    return _declared_by_packets


def _declared_by_mp4(file: BinaryIO, size: int) -> int | None:
    end, is_fragmented = 0, False
    while end < size:
        file.seek(end)
        header = file.read(16)
        if len(header) < 8:
            # A few bytes behind a whole file are none of it, but where fragment follows fragment they begin the next.
            return end + 8 if is_fragmented else end
        is_fragmented |= header[4:8] == b"moof"
        if header[4:8] not in _MP4_BOXES:
            return None
        (box_size,) = struct.unpack(">I", header[:4])
        if box_size == 1 and len(header) == 16:
            (box_size,) = struct.unpack(">Q", header[8:])
        if box_size < 8:  # 0: as far as the file goes
            return None
        end += box_size
    return end


def _declared_by_avi(file: BinaryIO, size: int) -> int | None:
    end = 0
    while end < size:
        file.seek(end)
        header = file.read(12)
        if header[:4] != b"RIFF" or len(header) < 12:
            return None
        end += 8 + int.from_bytes(header[4:8], "little")
        if end >= size:
            return end
        end += end % 2
    return end


def num_empty_chunks(path: Path, stream: int) -> int:
    """Return how many chunks of an AVI's stream are empty; each stands for the frame before it, shown once more."""
    wanted, count = b"%02d" % stream, 0
    with path.open("rb") as file:
        size = path.stat().st_size
        position = 0
        while position + 8 <= size:
            file.seek(position)
            name, length, kind = struct.unpack("<4sI4s", file.read(12).ljust(12, b"\0"))
            if name in (b"RIFF", b"LIST") and kind in (b"AVI ", b"AVIX", b"movi", b"rec "):
                position += 12  # what it holds
                continue
            count += name[:2] == wanted and name[2:] in (b"dc", b"db") and not length
            position += 8 + length + length % 2
    return count


def _declared_by_asf(file: BinaryIO, size: int) -> int | None:
    end = 0
    while end < size:
        file.seek(end)
        header = file.read(24)
        object_size = int.from_bytes(header[16:], "little")
        if header[:16] not in _ASF_OBJECTS or object_size < 24:
            return None
        end += object_size
    return end


def _declared_by_flv(file: BinaryIO, size: int) -> int | None:
    file.seek(0)
    found = re.search(rb"\x00\x08filesize\x00(.{8})", file.read(4096), re.DOTALL)
    declared: float = struct.unpack(">d", found.group(1))[0] if found else 0.0
    return int(declared) if 0 < declared < 2**63 else None


def _declared_by_packets(file: BinaryIO, size: int) -> int | None:
    file.seek(0)
    head = file.read(5 * 204)
    for length, offset in _TS_PACKETS:
        if len(head) >= 5 * length and all(head[offset + number * length] == 0x47 for number in range(5)):
            return -(-size // length) * length
    return None


def _declared_by_matroska(file: BinaryIO, size: int) -> int | None:
    """Read the Segment's size; one of unknown size, as live recorders write it, reaches to the end of its last part."""
    declared = None
    for element, _, end in _matroska_parts(file, size):
        if element == _SEGMENT and end is not None:
            return end
        declared = end or declared
    return declared


def _wrong_checksums(file: BinaryIO, size: int, on_block: Callable[[], None]) -> list[int]:
    """Return where the parts of a Segment begin that do not have their checksums."""
    wrong = []
    for _, start, end in _matroska_parts(file, size):
        file.seek(start)
        stored = file.read(6)
        if end is None or not start + 6 < end <= size or not stored.startswith(_CHECKSUM):
            continue
        checksum, remaining = 0, end - start - 6
        while remaining > 0 and (content := file.read(min(remaining, 1 << 20))):
            on_block()
            checksum, remaining = zlib.crc32(content, checksum), remaining - len(content)
        if checksum != int.from_bytes(stored[2:], "little"):
            wrong.append(start)
    return wrong


def _matroska_parts(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int, int | None]]:
    """Walk through the EBML header, the Segment and what is in it: the element, its content's start and end.

    The end is None if its size is unknown, as a live recorder leaves it; the parts of such a Cluster follow. A header
    that is cut off is yielded as an element without a name that ends behind the file.
    """
    position = 0
    while position < size:
        file.seek(position)
        header = file.read(12)
        id_length = _length_of_number(header)
        size_length = _length_of_number(header[id_length:])
        if len(header) < min(id_length, 4) + min(size_length, 8):
            yield b"", size, size + 1
            return
        element = header[:id_length]
        if element not in _MATROSKA_ELEMENTS or size_length > 8:
            return
        unknown = (1 << 7 * size_length) - 1
        length = int.from_bytes(header[id_length : id_length + size_length], "big") & unknown
        start = position + id_length + size_length
        end = None if length == unknown else start + length
        yield element, start, end
        if end is None and element not in (_SEGMENT, _CLUSTER):
            return
        position = start if element == _SEGMENT or end is None else end


def _length_of_number(number: bytes) -> int:
    """Return how many bytes a number of EBML takes, by its first one: 1 to 8, or 9 if it is none."""
    return 9 - number[0].bit_length() if number else 9
