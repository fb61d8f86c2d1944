"""Blobs: under the sha256 of what is stored, synced before anyone hears of them."""

import os
import threading
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glink.bus import fsio
from glink.bus.blobs import Blobs
from glink.bus.fsio import Disk
from glink.bus.mask import Mask
from glink.errors import BusError


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sha256").mkdir()
    return tmp_path / "sha256"


@pytest.fixture
def blobs(folder):
    return Blobs(Disk(), folder, Mask(()))


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("data", [b"", b"hello", os.urandom(3 << 20)])
def test_what_is_put_is_got(blobs, folder, data, tmp_path):
    """By bytes and from a file, under one name, with nothing left over."""
    digest = sha256(data).hexdigest()
    assert not blobs.has(digest)
    assert blobs.put(data) == digest
    (tmp_path / "artifact").write_bytes(data)
    assert blobs.put_file(tmp_path / "artifact") == digest
    assert blobs.get(digest) == data
    assert blobs.has(digest)
    assert files(folder) == [f"{digest[:2]}/{digest[2:]}"]
    assert blobs.path(digest).read_bytes() == data


def test_putting_the_same_bytes_again_writes_nothing(blobs):
    """The file is the one that was there."""
    digest = blobs.put(b"same")
    before = blobs.path(digest).stat().st_ino
    assert blobs.put(b"same") == digest
    assert blobs.path(digest).stat().st_ino == before


def test_a_damaged_blob_is_an_error_and_is_mended_by_putting_it_again(blobs):
    """`get` never gives other bytes than were put."""
    digest = blobs.put(b"precious")
    blobs.path(digest).write_bytes(b"precioux")
    with pytest.raises(BusError, match="the blob is damaged"):
        blobs.get(digest)
    assert blobs.put(b"precious") == digest
    assert blobs.get(digest) == b"precious"


@pytest.mark.parametrize("digest", ["0" * 64, "", "../../../etc/passwd", "A" * 64, "0" * 63 + "\n"])
def test_what_is_not_there_is_a_key_error(blobs, digest):
    """Also what cannot be a digest."""
    with pytest.raises(KeyError):
        blobs.get(digest)


def test_only_regular_files_are_taken(blobs, tmp_path):
    """Links are not followed, a pipe does not hang, a folder is no file."""
    (tmp_path / "secret").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("link", "pipe", "folder", "missing"):
        with pytest.raises(BusError):
            blobs.put_file(tmp_path / name)


def test_secrets_are_masked_and_the_digest_is_of_what_was_stored(folder):
    """Also as JSON writes them."""
    masking = Blobs(Disk(), folder, Mask(['pass"word']))
    digest = masking.put(b'say pass"word, {"a":"pass\\"word"}')
    assert masking.get(digest) == b'say ***, {"a":"***"}'
    assert digest == sha256(b'say ***, {"a":"***"}').hexdigest()


@settings(max_examples=30, deadline=None)
@given(
    parts=st.lists(st.sampled_from([b"sesame-open", b"sesame", b"-open", b"x"]), max_size=30), size=st.integers(1, 40)
)
def test_a_file_is_masked_as_its_bytes_are_wherever_its_pieces_end(tmp_path_factory, parts, size):
    """A secret that lies across two reads is found."""
    folder = tmp_path_factory.mktemp("blobs")
    masking = Blobs(Disk(), folder, Mask(["sesame-open"]))
    (folder / "file").write_bytes(b"".join(parts))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fsio, "_CHUNK", size)
        digest = masking.put_file(folder / "file")
    assert masking.get(digest) == b"".join(parts).replace(b"sesame-open", b"***")


def test_many_threads_may_put_the_same_and_different_blobs(blobs, folder):
    """Each returns only when its blob can be read."""
    wrong = []

    def put(worker):
        for n in range(20):
            data = b"%d" % (n if worker % 2 else n + 10)
            if blobs.get(blobs.put(data)) != data:
                wrong.append(data)

    threads = [threading.Thread(target=put, args=(worker,)) for worker in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(files(folder)) == 30


def test_a_blob_and_its_folders_are_synced_before_put_returns(folder):
    """File before rename, folders after it; for a blob that is already there the folders again."""
    calls = []

    class Noting(Disk):
        def fsync(self, fd):
            calls.append("file")
            super().fsync(fd)

        def rename(self, source, target):
            calls.append("rename")
            super().rename(source, target)

        def fsync_dir(self, path):
            calls.append(path.name)
            super().fsync_dir(path)

    blobs = Blobs(Noting(), folder, Mask(()))
    digest = blobs.put(b"once")
    assert calls == ["file", "sha256", "rename", digest[:2], "sha256"]
    calls.clear()
    blobs.put(b"once")
    assert calls == [digest[:2], "sha256"]
