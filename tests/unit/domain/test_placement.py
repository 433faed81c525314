"""Placement: no host is chosen that breaks a rule, and every refusal says why."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from ovcadmin.domain.choice import choose, pick
from ovcadmin.domain.placement import Candidate, Rule, Wanted, fits, judge, smallest_change

GIB = 2**20

ROOMY = Candidate(
    host_id=1, host="kvm-a", responsive=True, enabled=True, serves=True, cpus=8, memory=16 * GIB,
    memory_committed=0, storage_pool_id=1, storage_available=10**12, has_image=True,
)  # fmt: skip
WANTED = Wanted(vcpus=2, memory=GIB, storage=10**10, image_id=1, image="starter")

candidates = st.builds(
    replace, st.just(ROOMY), host_id=st.integers(1, 99), responsive=st.booleans(),
    enabled=st.booleans(), serves=st.booleans(), cpus=st.integers(0, 4),
    memory_committed=st.integers(0, 16 * GIB), storage_available=st.integers(0, 2 * 10**10),
    has_image=st.booleans(), load=st.floats(-0.5, 1.5), trend=st.floats(-2, 2),
)  # fmt: skip


@given(st.lists(candidates, max_size=8))
def test_the_chosen_host_passes_every_rule_and_has_the_most_memory_free(found):
    best, verdicts = choose(found, WANTED)
    fitting = [verdict.candidate for verdict in verdicts if verdict.fits]
    assert (best is None) == (not fitting)
    if best is not None:
        assert best.responsive
        assert best.enabled
        assert best.serves
        assert best.memory - best.memory_committed >= WANTED.memory
        assert best.memory_committed == min(c.memory_committed for c in fitting)


@given(st.lists(candidates, max_size=8))
def test_the_choice_does_not_depend_on_the_order(found):
    forward, _ = choose(found, WANTED)
    backward, _ = choose(found[::-1], WANTED)
    assert (forward and forward.host_id) == (backward and backward.host_id)


def test_a_refusal_says_what_is_short():
    full = replace(ROOMY, memory_committed=16 * GIB - 1024)
    best, (verdict,) = choose([full], WANTED)
    assert best is None
    assert verdict.reasons == ("kvm-a has 1 MiB of 16 GiB memory free, the machine wants 1 GiB",)


def test_of_a_host_that_never_answered_nothing_but_that_is_said():
    unknown = replace(
        ROOMY, host="kvm-new", responsive=False, cpus=0, memory=0, storage_pool_id=None
    )
    full = replace(ROOMY, memory_committed=16 * GIB, enabled=False)
    assert judge(unknown, WANTED).summary == "kvm-new has not answered yet"
    assert smallest_change([judge(unknown, WANTED), judge(full, WANTED)]) == (
        "Let kvm-a take new machines.",
        "Free 1 GiB of memory on kvm-a, or ask for that much less.",
    )
    silent = judge(replace(full, responsive=False), WANTED)
    assert silent.summary == (
        "kvm-a takes no new machines: it is disabled; does not answer; has 0 B of 16 GiB memory "
        "free, the machine wants 1 GiB"
    )


def test_with_equal_room_the_less_loaded_host_wins():
    busy, idle = replace(ROOMY, host_id=1, load=0.8), replace(ROOMY, host_id=2, load=0.1)
    assert choose([busy, idle], WANTED)[0] == idle


def test_a_host_whose_load_rises_is_passed_over():
    rising = replace(ROOMY, host_id=1, load=0.3, trend=0.5)
    falling = replace(ROOMY, host_id=2, load=0.3, trend=-0.2)
    assert choose([rising, falling], WANTED)[0] == falling


crowded = st.builds(
    replace, candidates, maintenance=st.booleans(), retired=st.booleans(),
    vcpu_room=st.integers(0, 8), vcpus_committed=st.integers(0, 8),
    networks=st.sampled_from([frozenset(), frozenset({"lan"})]),
    cpu_model=st.sampled_from(["EPYC", "Skylake"]), load=st.floats(0, 1), trend=st.floats(-1, 1),
    rivals=st.sampled_from([(), ("db01",)]), companions=st.sampled_from([(), ("db02",)]),
)  # fmt: skip
DEMANDING = replace(WANTED, networks=frozenset({"lan"}), cpu_model="EPYC")


@given(st.lists(crowded, max_size=6))
def test_no_hard_rule_is_ever_broken_whatever_the_weights_say(found):
    best, verdicts = choose(found, DEMANDING)
    if best is None:
        assert not any(verdict.fits for verdict in verdicts)
        assert bool(smallest_change(verdicts)) == bool(found)
        return
    assert smallest_change(verdicts) == ()
    assert not any((best.maintenance, best.retired, best.rivals, best.companions))
    assert best.vcpus_committed + DEMANDING.vcpus <= best.vcpu_room
    assert "lan" in best.networks
    assert best.cpu_model == "EPYC"
    assert max(v.score for v in verdicts if v.fits) == next(
        v.score for v in verdicts if v.candidate == best
    )


@given(crowded)
def test_every_rule_is_told_once_and_what_fails_has_a_remedy(candidate):
    verdict = judge(candidate, DEMANDING)
    assert [check.rule for check in verdict.checks] == list(
        dict.fromkeys(check.rule for check in verdict.checks)
    )
    if not candidate.unknown:
        assert {check.rule for check in verdict.checks} == set(Rule)
    assert len(verdict.reasons) == sum(not check.passed for check in verdict.checks)
    assert all(check.remedy for check in verdict.checks if not check.passed)


@given(st.lists(crowded, max_size=6))
def test_picking_quickly_is_choosing_without_the_words(found):
    assert pick(found, DEMANDING) == choose(found, DEMANDING)[0]
    assert [fits(one, DEMANDING) for one in found] == [judge(one, DEMANDING).fits for one in found]
