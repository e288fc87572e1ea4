"""Fault plans as data and as text."""

import pytest

from hewston_bff.tools.simulator import (
    Binary,
    Close,
    CutAt,
    Diverge,
    Duplicate,
    EndMessage,
    FaultPlan,
    Forever,
    Garbage,
    HalfOpen,
    Huge,
    NoHeartbeat,
    NoPong,
    RandomCuts,
    Refuse,
    RefuseConnection,
    ScriptedFault,
    Slow,
    Stall,
    StreamError,
    parse_fault,
    parse_plan,
    parse_script,
)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("cut@1000", CutAt(frame=1000)),
        ("halfopen@50", HalfOpen(frame=50)),
        ("refuse:404", Refuse(status=404)),
        ("refuse", Refuse(status=503)),
        ("refuseconnection", RefuseConnection()),
        ("garbage@10", Garbage(frame=10)),
        ("garbage@10:[1]", Garbage(frame=10, data=b"[1]")),
        ("binary@10", Binary(frame=10)),
        ("huge@10:2000000", Huge(frame=10, size_bytes=2_000_000)),
        ("slow:500", Slow(frames_per_s=500)),
        ("stall@3:0.5", Stall(frame=3, seconds=0.5)),
        ("duplicate@3:2", Duplicate(frame=3, times=2)),
        ("diverge@40", Diverge(frame=40)),
        ("close@100:1011", Close(frame=100, code=1011)),
        ("end", EndMessage()),
        ("nopong", NoPong()),
        ("nohb", NoHeartbeat()),
        ("streamerror:3", StreamError(times=3)),
    ],
)
def test_a_fault_is_read_from_text(text: str, fault: ScriptedFault) -> None:
    assert parse_fault(text) == fault


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("explode@3", "unknown fault 'explode'"),
        ("cut", "needs a frame, as in cut@10"),
        ("nopong@3", "takes no frame"),
        ("cut@x", "bad frame 'x'"),
        ("cut@-1", "bad frame '-1'"),
        ("cut@3:4", "takes no value"),
        ("refuse:200", "bad status '200'"),
        ("close@3:7", "bad code '7'"),
        ("stall@3", "needs a value"),
        ("slow:0", "bad frames_per_s '0'"),
        ("slow:nan", "bad frames_per_s 'nan'"),
        ("", "unknown fault ''"),
    ],
)
def test_a_malformed_fault_is_refused_with_the_reason(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_fault(text)


def test_a_script_joins_faults_and_ok_is_healthy() -> None:
    assert parse_script("slow:50+cut@10") == (Slow(frames_per_s=50), CutAt(frame=10))
    assert parse_script("ok") == ()


def test_each_connection_plays_its_own_script_and_later_ones_the_default() -> None:
    plan = FaultPlan(
        default=(NoPong(),),
        connections={"a": [(CutAt(frame=1),), ()], "*": [(Refuse(status=503),)]},
    )
    assert [plan.script_for("a", ordinal=at) for at in range(3)] == [
        (CutAt(frame=1),),
        (),
        (NoPong(),),
    ]
    assert plan.script_for("b", ordinal=0) == (Refuse(status=503),)
    assert plan.script_for("b", ordinal=1) == (NoPong(),)


def test_the_last_script_can_repeat_for_ever() -> None:
    plan = FaultPlan(connections={"a": [(), Forever((CutAt(frame=1),))]})
    assert plan.script_for("a", ordinal=0) == ()
    assert plan.script_for("a", ordinal=1) == plan.script_for("a", ordinal=99) == (CutAt(frame=1),)


def test_random_cuts_are_reproducible_bounded_and_end() -> None:
    cuts = RandomCuts(seed=5, count=20, max_frames=100)
    frames = []
    for ordinal in range(20):
        (cut,) = cuts.script_for("r", ordinal=ordinal)
        assert isinstance(cut, CutAt)
        frames.append(cut.frame)
    assert all(0 <= frame <= 100 for frame in frames)
    assert len(set(frames)) > 10
    assert cuts.script_for("r", ordinal=3) == (CutAt(frame=frames[3]),)
    assert cuts.script_for("r", ordinal=20) == ()


def test_a_plan_is_read_from_text() -> None:
    plan = parse_plan(["slow:9", "a=cut@1,ok", "b=ok,refuse:503*", "*=randomcuts:7/2/50"])
    assert plan == FaultPlan(
        default=(Slow(frames_per_s=9),),
        connections={
            "a": [(CutAt(frame=1),), ()],
            "b": [(), Forever((Refuse(status=503),))],
            "*": RandomCuts(seed=7, count=2, max_frames=50),
        },
    )


@pytest.mark.parametrize("entry", ["a=cut@1,boom", "a=randomcuts:1/2", "a=randomcuts:x/1/1"])
def test_a_malformed_plan_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match=r"boom|randomcuts"):
        parse_plan([entry])
