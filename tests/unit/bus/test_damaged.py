"""A bus with damage is opened around it: nothing damaged is touched, no seq is given out twice, what is whole is read."""

import shutil

import pytest

from glink.bus import fsck, segment
from glink.bus.fsio import Disk
from glink.bus.reader import BusReader
from glink.bus.repair import repair
from glink.clock import SystemClock
from glink.errors import BusCorrupt
from glink.limits import Limits
from tests.unit.bus.buses import open_bus

LIMITS = Limits(segment_bytes=2 << 10, reserve_bytes=0)
LAST = 36


@pytest.fixture(params=[True, False], ids=["clean", "unclean"])
def path(tmp_path, request):
    """Thirty-six events in batches of one over three segments, checkpoints of all of them."""
    bus = open_bus(tmp_path / "bus", limits=LIMITS)
    for n in range(LAST):
        bus.stage({"type": "note.a", "project": f"p{n % 2}", "data": {"n": n}})
        bus.commit()
    bus.close(clean=request.param)
    return tmp_path / "bus"


def firsts(path):
    return segment.firsts(Disk(), path / "events")


def file_of(path, first):
    return path / "events" / segment.name_of(first)


def spoil(path, seq):
    """Flips a byte in the middle of a record."""
    file = file_of(path, max(first for first in firsts(path) if first <= seq))
    data = file.read_bytes()
    whole = b'{"n":%d}' % (seq - 1)
    assert data.count(whole) == 1
    file.write_bytes(data.replace(whole, whole.upper()))


def read(source, after=0, project=None):
    """The seqs that are read, and whether what is lost came next."""
    seqs = []
    try:
        seqs.extend(record["seq"] for record in source.replay(after, project=project))
    except BusCorrupt:
        return seqs, False
    return seqs, True


def segment_bytes(path):
    return {file.name: file.read_bytes() for file in (path / "events").glob("*.jsonl")}


def damage(path, kind):
    """Damages the log in one way; the seqs that are lost, from-to."""
    one, two, three = firsts(path)
    match kind:
        case "first":
            spoil(path, one + 2)
            return one + 2, one + 2
        case "middle":
            spoil(path, two + 2)
            return two + 2, two + 2
        case "last":
            spoil(path, three + 2)
            return three + 2, three + 2
        case "first gone":
            file_of(path, one).unlink()
            return one, two - 1
        case "middle gone":
            file_of(path, two).unlink()
            return two, three - 1
        case "header":
            file = file_of(path, two)
            file.write_bytes(file.read_bytes().replace(b'"glink":"segment"', b'"glink":"sEgment"'))
            return two, three - 1
        case _:
            file = file_of(path, three)
            file.write_bytes(file.read_bytes().replace(b'"glink":"segment"', b'"glink":"sEgment"'))
            return three, LAST


KINDS = ["first", "middle", "last", "first gone", "middle gone", "header", "last header"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_whole_is_read_up_to_the_damage_and_behind_it(path, kind):
    """By the engine, by a reader beside it and by one without an engine; nobody reads over it in silence."""
    first, last = damage(path, kind)
    before, said = segment_bytes(path), []
    alone = BusReader(path, limits=LIMITS)
    assert read(alone) == (list(range(1, first)), False)
    assert read(alone, last) == (list(range(last + 1, LAST + 1)), True)
    for _ in range(2):
        bus = open_bus(path, limits=LIMITS)
        beside = BusReader(path, limits=LIMITS)
        end = bus.durable_seq
        assert end >= LAST
        bus.stage({"type": "note.more", "project": "p0"})
        bus.commit()
        for source in (bus, beside):
            assert read(source) == (list(range(1, first)), False)
            found, whole = read(source, end)
            assert (found, whole) == ([end + 1], True)
            lost = source.damages[0].lost
            assert lost[0] == first
            assert read(source, lost[1])[1] is True
            assert read(source, 0, "p1")[0] == [seq for seq in range(1, first) if seq % 2 == 0]
            with pytest.raises(BusCorrupt, match=rf"glink repair --accept-loss {first}-{lost[1]}`"):
                source.read(first)
        said.append(end + 1)
        assert read(bus, lost[1])[0] == [*range(lost[1] + 1, LAST + 1), *said]
        bus.close()
        now = segment_bytes(path)
        assert all(now[name] == data or now[name].startswith(data) for name, data in before.items())


@pytest.mark.parametrize("kind", KINDS)
def test_repair_after_it_was_used_makes_it_whole_again(path, kind):
    """What the engine said is what repair wants accepted; then everything that is left is read in one go."""
    first, last = damage(path, kind)
    bus = open_bus(path, limits=LIMITS)
    bus.stage({"type": "note.more", "project": "p0"})
    bus.commit()
    assert read(bus)[1] is False
    more, lost = bus.durable_seq, bus.damages[0].lost
    bus.close()
    assert [one.lost for one in fsck.check(Disk(), path, LIMITS).damages] == [lost]
    repair(Disk(), path, LIMITS, [lost], clock=SystemClock())
    assert fsck.check(Disk(), path, LIMITS).sound
    bus = open_bus(path, limits=LIMITS)
    assert bus.damages == ()
    seqs, whole = read(bus)
    assert whole
    expected = {*range(1, first), *range(last + 1, LAST + 1), more, more + 1}  # the last one is `log.gap`
    assert expected <= set(seqs) <= {*range(1, LAST + 1), more, more + 1}
    assert seqs == sorted(seqs)
    bus.close()


def test_a_damaged_last_segment_stays_as_it_is_and_a_new_one_names_its_end(path):
    """Byte for byte; its seal is `repair`'s to write."""
    lost, _ = damage(path, "last")
    file = file_of(path, firsts(path)[-1])
    before, inode = file.read_bytes(), file.stat().st_ino
    bus = open_bus(path, limits=LIMITS)
    assert bus.durable_seq == LAST
    bus.close(clean=False)
    assert file.read_bytes() == before
    assert file.stat().st_ino != inode  # the page cache may have held what the disk did not
    assert firsts(path)[-1] == LAST + 1
    fd, header = segment.open_segment(Disk(), path / "events", LAST + 1)
    Disk().close(fd)
    assert header.prev_seq == LAST
    assert header.prev_crc.decode() == BusReader(path, limits=LIMITS).read(LAST)["crc"]
    assert lost < LAST


@pytest.mark.parametrize("kind", ["gone", "cut", "header"])
def test_where_nobody_knows_how_many_events_there_were_no_seq_is_given_out_again(path, kind):
    """A clean stop says which was the last one. Without it there may have been as many as a segment can hold."""
    clean = (path / "CLEAN").exists()
    bus = open_bus(path, limits=LIMITS)
    bus.write_manifest(LAST - 1)
    if clean:
        bus.stage({"type": "note.last"})
        bus.commit()
    bus.close(clean=clean)
    last = firsts(path)[-1]
    file = file_of(path, last)
    if kind == "gone":
        file.unlink()
    elif kind == "cut":
        file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:2]))
    else:
        file.write_bytes(file.read_bytes().replace(b'"glink":"segment"', b'"glink":"sEgment"'))
    bus = open_bus(path, limits=LIMITS)
    if clean:
        assert bus.durable_seq == LAST + 1
    else:
        assert bus.durable_seq > LAST + (2 << 10) // 100
    assert bus.damages[-1].lost[1] == bus.durable_seq
    assert bus.damages[-1].last == bus.durable_seq
    bus.close()


def test_a_checkpoint_whose_event_is_lost_counts_when_the_manifest_names_it(path):
    """The manifest is of this log if its own event is there, or what follows it, or the clean stop, names its crc."""
    bus = open_bus(path, limits=LIMITS)
    two, three = firsts(path)[1:]
    bus.write_checkpoint("p0", two + 1, b"{}")
    bus.write_checkpoint("p1", three + 1, b"{}")
    bus.write_manifest(LAST)
    bus.close(clean=False)
    file_of(path, two).unlink()
    bus = open_bus(path, limits=LIMITS)
    assert {one.name: one.seq for one in bus.checkpoints()} == {"p0": two + 1, "p1": three + 1}
    assert bus.covers().others == LAST
    bus.close(clean=False)
    # negative: neither a file of another log, nor one that no manifest names
    for stray in ("p0.json", ".manifest.json"):
        shutil.rmtree(path / "copy", ignore_errors=True)
        shutil.copytree(path / "checkpoints", path / "copy")
        (path / "checkpoints" / stray).unlink()
        if stray == "p0.json":
            shutil.copy(path / "copy" / "p1.json", path / "checkpoints" / stray)
        bus = open_bus(path, limits=LIMITS)
        assert "p0" not in {one.name for one in bus.checkpoints()}
        assert bus.covers().of.get("p0", bus.covers().others) == 0
        bus.close(clean=False)
        shutil.rmtree(path / "checkpoints")
        shutil.move(path / "copy", path / "checkpoints")


def test_the_last_event_of_a_clean_stop_may_be_lost_and_the_manifest_still_holds(tmp_path):
    """Also at the next opening, when the mark of the clean stop is gone, and after the repair."""
    path = tmp_path / "bus"
    bus = open_bus(path, limits=LIMITS)
    for n in range(3):
        bus.stage({"type": "note.a", "data": {"n": n}})
        bus.commit()
    bus.write_manifest(3)
    bus.close()
    spoil(path, 3)
    assert BusReader(path, limits=LIMITS).manifest_seq == 3
    for _ in range(2):
        bus = open_bus(path, limits=LIMITS)
        assert (bus.manifest_seq, bus.damages[0].lost) == (3, (3, 3))
        bus.stage({"type": "note.a"})
        bus.commit()
        bus.close(clean=False)
    repair(Disk(), path, LIMITS, [(3, 3)], clock=SystemClock())
    bus = open_bus(path, limits=LIMITS)
    assert bus.manifest_seq == 3
    bus.close()


def test_bodies_are_not_collected_from_a_damaged_bus(path):
    """Known or not: a flipped digit in a name would make its body nameless. A checkpoint names bodies as well."""
    bus = open_bus(path, limits=LIMITS)
    body, kept = bus.blobs.put(b"body"), bus.blobs.put(b"kept")
    bus.stage({"type": "note.a", "data": {"blob": body}})
    bus.commit()
    bus.write_checkpoint("p0", bus.durable_seq, b'{"blob":"%b"}' % kept.encode())
    assert bus.unnamed() == set()
    spoil(path, firsts(path)[0] + 2)
    assert bus.damages == ()
    with pytest.raises(BusCorrupt, match="what it names is not known"):
        bus.unnamed()
    list(bus.replay(LAST))
    assert read(bus)[1] is False
    with pytest.raises(BusCorrupt, match="nothing is taken away"):
        bus.unnamed()
    bus.close()


def test_a_sealed_newest_segment_is_whole_though_the_one_behind_it_is_gone(path):
    """What is gone is named as a file of its own, whose id no other segment has."""
    bus = open_bus(path, limits=LIMITS)
    for _ in range(40):
        bus.stage({"type": "note.a", "project": "p0"})
        bus.commit()
    last = bus.durable_seq
    bus.close()
    gone = firsts(path)[-1]
    file_of(path, gone).unlink()
    for _ in range(2):
        bus = open_bus(path, limits=LIMITS)
        (found,) = bus.damages
        assert (found.path, found.lost, found.what) == (file_of(path, gone), (gone, last), "the file is not there")
        bus.close()
    repair(Disk(), path, LIMITS, [(gone, last)], clock=SystemClock())
    ids = []
    for first in firsts(path):
        fd, header = segment.open_segment(Disk(), path / "events", first)
        Disk().close(fd)
        ids.append(header.id)
    assert len(set(ids)) == len(ids)


def test_an_index_is_not_made_of_what_is_damaged(path):
    """A flipped name would hide whose records they are: from who reads one project, and from who trims."""
    one = firsts(path)[0]
    file = file_of(path, one)
    lines = file.read_bytes().split(b"\n")
    lines[3] = lines[3].replace(b'"project":"p0"', b'"project":"pX"')
    file.write_bytes(b"\n".join(lines))
    file.with_suffix(".idx").unlink()
    bus = open_bus(path, limits=LIMITS)
    with pytest.raises(BusCorrupt, match="whose records are in it is not known"):
        bus.projects_in(next(span for span in bus.trimmable("9999") if span.first == one))
    assert not file.with_suffix(".idx").exists()
    assert read(bus, 0, "p0") == ([1], False)
    bus.close()


def test_what_is_gone_and_what_was_trimmed_are_told_apart(path):
    """By a reader that comes upon it in the middle: the oldest ones are trimmed first."""
    bus = open_bus(path, limits=LIMITS)
    found = bus.replay(0)
    next(found)
    file_of(path, firsts(path)[1]).unlink()
    with pytest.raises(BusCorrupt, match="the file is not there"):
        list(found)
    bus.close()


def test_a_damaged_record_that_is_asked_for_alone_is_told_with_the_command(path):
    """Though nobody had come upon it before."""
    lost, _ = damage(path, "middle")
    bus = open_bus(path, limits=LIMITS)
    with pytest.raises(BusCorrupt, match=f"glink repair --accept-loss {lost}-{lost}"):
        bus.read(lost)
    assert bus.read(lost + 1)["seq"] == lost + 1
    bus.close()
