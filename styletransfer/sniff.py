"""Tell what an uploaded file is by its first bytes; its name says nothing."""

import string
from typing import Literal

from styletransfer.errors import CheckpointRejected

FileFormat = Literal["safetensors", "onnx", "state_dict"]

# How much of a file `sniff` wants to see; it works with less.
HEAD_BYTES = 4096

# Checkpoints or archives of them, which could be converted; the others are no checkpoints at all.
_REFUSED = (
    (b"PK\x05\x06", 0, "zip"),
    (b"\x1f\x8b", 0, "gzip"),
    (b"\x89HDF\r\n", 0, "hdf5"),
    (b"GGUF", 0, "gguf"),
    (b"TFL3", 4, "tflite"),
    (b"ORTM", 4, "ort"),
    (b"\x93NUMPY", 0, "numpy"),
    (b"BZh", 0, "bzip2"),
    (b"\xfd7zXZ\x00", 0, "xz"),
    (b"\x28\xb5\x2f\xfd", 0, "zstd"),
    (b"7z\xbc\xaf\x27\x1c", 0, "7z"),
    (b"Rar!", 0, "rar"),
    (b"ustar", 257, "tar"),
)
_NO_CHECKPOINT = (
    (b"version https://git-lfs", 0, "git_lfs_pointer"),
    (b"\x89PNG", 0, "picture"),
    (b"\xff\xd8\xff", 0, "picture"),
    (b"GIF8", 0, "picture"),
    (b"WEBP", 8, "picture"),
    (b"%PDF", 0, "pdf"),
    (b"\x7fELF", 0, "program"),
    (b"MZ", 0, "program"),
    (b"#!", 0, "program"),
)
_PICKLE_PROTOCOLS = (b"\x02", b"\x03", b"\x04", b"\x05")
# What `torch.save` begins with in its older form: one number, pickled.
_TORCH_NUMBER = (0x1950A86A20F9469CFC6C).to_bytes(10, "little")
_TEXT = frozenset(string.printable.encode())
# Top-level fields of an ONNX ModelProto and their wire types: 0 a number, 2 bytes.
_ONNX_FIELDS = {1: 0, 2: 2, 3: 2, 4: 2, 5: 0, 6: 2, 7: 2, 8: 2, 14: 2, 20: 2, 25: 2, 26: 2}
_IR_VERSION, _GRAPH = 1, 7


def sniff(head: bytes, size: int, tail: bytes = b"") -> FileFormat:
    """Name the format of a file that may be read further; a state dict only in the sandbox.

    Args:
        head: the first `HEAD_BYTES`, or the whole file if it is shorter.
        size: the length of the whole file.
        tail: its last bytes if at hand; they tell the kinds of zip files apart more surely.

    Raises:
        CheckpointRejected: empty_file, format_refused(kind) or not_a_checkpoint(kind).
    """
    if size == 0 or not head:
        raise CheckpointRejected("empty_file")
    # Before everything else: no format may hide a pickle or an archive.
    if _holds_state_dict(head, tail):
        return "state_dict"
    for magic, offset, kind in _REFUSED:
        if head.startswith(magic, offset):
            raise CheckpointRejected("format_refused", kind=kind)
    for magic, offset, kind in _NO_CHECKPOINT:
        if head.startswith(magic, offset):
            raise CheckpointRejected("not_a_checkpoint", kind=kind)
    # A mark or spaces before the header are damage, yet no reason not to say of what.
    if head[8:].lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{" and not _TEXT.issuperset(head[:8]):
        return "safetensors"
    if _looks_like_onnx(head, size):
        return "onnx"
    raise CheckpointRejected("not_a_checkpoint", kind=_which_text(head))


def _holds_state_dict(head: bytes, tail: bytes) -> bool:
    """Tell files of `torch.save`, of both forms, from other pickles and archives.

    Raises:
        CheckpointRejected: format_refused for the others.
    """
    if head[0] == 0x80 and head[1:2] in _PICKLE_PROTOCOLS:
        kind = "state_dict" if _TORCH_NUMBER in head[:32] else "pickle"
    elif head.startswith(b"PK\x03\x04"):
        kind = _which_zip(head, tail)
    else:
        return False
    if kind != "state_dict":
        raise CheckpointRejected("format_refused", kind=kind)
    return True


def _which_zip(head: bytes, tail: bytes) -> str:
    name_length = int.from_bytes(head[26:28], "little")
    first = head[30 : 30 + name_length]
    # torch.jit.save writes the tensors first; torch.save writes data.pkl first.
    if b"code/__torch__" in tail or b"/constants.pkl" in tail or first.endswith(b"/data/0"):
        return "torchscript"
    if b"/archive_format" in tail or b"weights_config.json" in first or b"/models/" in first:
        return "pt2"
    return "state_dict" if first.endswith(b"/data.pkl") or first == b"data.pkl" else "zip"


def _which_text(head: bytes) -> str:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if start == b"<":
        return "html"
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        # The head may end in the middle of a character; anywhere else it isn't text.
        if error.reason != "unexpected end of data":
            return "unknown"
    if any(byte not in _TEXT for byte in head if byte < 0x80):
        return "unknown"
    return "json" if start in (b"{", b"[") else "text"


def _looks_like_onnx(head: bytes, size: int) -> bool:
    """Walk the protobuf fields at the top level as far as the head goes."""
    position, seen = 0, set[int]()
    while position < len(head):
        tag, position = _read_varint(head, position)
        field, wire = tag >> 3, tag & 7
        if _ONNX_FIELDS.get(field) != wire:
            # A field of a later version of ONNX may follow the graph.
            return _GRAPH in seen
        value, position = _read_varint(head, position)
        if field == _IR_VERSION and not 1 <= value <= 100:
            return False
        seen.add(field)
        if wire == 2:
            position += value
            # A graph longer than the file is a download cut short, still ONNX.
            if position > size and field != _GRAPH:
                return False
    return _IR_VERSION in seen or _GRAPH in seen


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(data) and shift < 64:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    # Cut off or too long: no field has this number.
    return value if position >= len(data) else -1, max(position, len(data))
