"""The state space of policies, explored by Hypothesis: the real engine, a virtual clock, any order of what can happen.

What must hold is asked after every rule by the checks of the simulator (recounts that share no code with the
scheduler); at the end all faults stop, and everything must end and every fire time be decided once.

A failure prints the rules that led to it, as few as it takes, and `@reproduce_failure(…)` to see it again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from gnomon.core.errors import GnomonError
from gnomon.core.model import Backoff, CatchUp, CatchUpMode, Dependency, Job, OnLost, Overlap, Rate, Retry, Task, When
from gnomon.core.records import RunFilter
from gnomon.operations.jobs import pause_job, resume_job
from gnomon.operations.runs import cancel_run, retry_run, start_run
from gnomon.operations.schedules import pause_schedule, resume_schedule
from gnomon.testing.simulator import BUGS, Simulation, Violation
from gnomon.testing.simulator.oracle import Every, Minutes, Timing

JOBS = ("job0", "job1")
RULES: tuple[Timing, ...] = (Every(20.0), Every(60.0), Minutes(1), Minutes(5))
SPANS = st.sampled_from([0.001, 1.0, 5.0, 19.0, 20.0, 60.0, 61.0, 130.0, 900.0])

POLICIES = st.fixed_dictionaries(
    {
        "overlap": st.sampled_from(list(Overlap)),
        "catch_up": st.builds(
            CatchUp,
            st.sampled_from(list(CatchUpMode)),
            st.sampled_from([None, 100.0, 600.0]),
            st.sampled_from([1, 3, 20]),
        ),
        "misfire_grace_s": st.sampled_from([None, 0.0, 30.0, 400.0]),
        "restarts": st.integers(0, 2),
        "retry": st.builds(
            Retry,
            delay_s=st.sampled_from([0.0, 5.0]),
            backoff=st.sampled_from(list(Backoff)),
            max_delay_s=st.just(20.0),
            jitter=st.booleans(),
            on=st.sampled_from([(), (1,), ("timed_out",), ("failed",), ("exit_code", 7)]),
        ),
        "on_lost": st.sampled_from(list(OnLost)),
        "start_deadline_s": st.sampled_from([None, None, 0.0, 15.0]),
        "max_active": st.sampled_from([None, 1, 2]),
        "pools": st.sampled_from([{}, {"db": 1}, {"db": 2}, {"db": 3}]),
        "priority": st.integers(0, 1),
        "pause_after": st.sampled_from([None, 1, 2]),
        "rate": st.sampled_from([None, Rate(1, 5.0), Rate(2, 15.0)]),
    }
)
TIMINGS = st.lists(st.sampled_from(RULES), min_size=1, max_size=2)


class Policies(RuleBasedStateMachine):
    """Two jobs that fire, and one below them, under policies that change while anything may happen."""

    bug: str | None = None

    def __init__(self) -> None:
        super().__init__()
        self.patched = BUGS[self.bug].patch() if self.bug else None
        if self.patched is not None:
            self.patched.__enter__()
        self.sim = Simulation(0, self.bug, wide=True)
        self.sim.crash_ratio = 0.0
        self.sim.author.begin_pools()
        self.sim._start_node()

    @initialize(
        given=st.tuples(POLICIES, POLICIES), rules=st.tuples(TIMINGS, TIMINGS), when=st.sampled_from(list(When))
    )
    def define(self, given: tuple[dict[str, Any], ...], rules: tuple[list[Timing], ...], when: When) -> None:
        for job_id, policies, timings in zip(JOBS, given, rules, strict=True):
            self.edit(job_id, policies, timings)
        self.sim.author.save(
            Job("below", Task("command", {"command": ["true"]}), depends_on=(Dependency("job0", when),))
        )
        self.sim.author.known.add("below")

    # ---- time ----------------------------------------------------------------------------------

    @rule(seconds=SPANS)
    def time_passes(self, seconds: float) -> None:
        self.sim.clock.advance(seconds)
        self.sim.author.latest = max(self.sim.author.latest, self.sim.clock.now())
        self.step()

    @rule()
    def step(self) -> None:
        """The node decides; what it was to start, starts."""
        for actor in list(self.sim.actors):
            self.sim._step(actor)
            while actor.executor.pending:
                actor.executor.spawn_one()

    @rule(seconds=st.sampled_from([0.5, 30.0, 3600.0]))
    def the_clock_is_set_back(self, seconds: float) -> None:
        self.sim.clock.jump(-seconds)

    @rule(seconds=SPANS)
    def restart(self, seconds: float) -> None:
        for actor in list(self.sim.actors):
            self.sim._bury(actor)
        self.sim.clock.advance(seconds)
        self.sim.author.latest = max(self.sim.author.latest, self.sim.clock.now())
        self.sim._start_node()

    @rule(power=st.booleans())
    def a_commit_fails(self, power: bool) -> None:
        self.sim.crash_ratio, self.sim.power_ratio = 1.0, float(power)
        for actor in list(self.sim.actors):
            self.sim._step(actor)
        self.sim.crash_ratio = 0.0
        if not self.sim.actors:
            self.sim._start_node()

    # ---- attempts ------------------------------------------------------------------------------

    @precondition(lambda self: self.sim.world.alive())
    @rule(which=st.integers(0, 5), how=st.sampled_from([0, 0, 1, 7, "timed out", "vanished"]))
    def an_attempt_ends(self, which: int, how: int | str) -> None:
        alive = self.sim.world.alive()
        key = alive[which % len(alive)]
        if how == "vanished":
            self.sim.world.vanish(key)
        elif how == "timed out":
            self.sim.world.time_out(key)
        else:
            self.sim.world.finish(key, int(how))
        self.step()

    # ---- people --------------------------------------------------------------------------------

    @rule(job_id=st.sampled_from(JOBS), policies=POLICIES, timings=TIMINGS)
    def edit(self, job_id: str, policies: dict[str, Any], timings: list[Timing]) -> None:
        if self.sim.clock.now() < self.sim.author.latest:
            return  # an edit while the clock is set back is a reset of the schedule
        rules = dict(zip("xy", timings, strict=False))
        kinds = self.sim.desk.kinds
        specs = tuple(
            replace(kinds.parse(timing.text, default_timezone="UTC", job_id=job_id), name=name)
            for name, timing in rules.items()
        )
        self.sim.author.save(Job(job_id, Task("command", {"command": ["true"]}), schedules=specs, **policies))
        self.sim.author.known.add(job_id)
        self.sim.oracle.define(job_id, rules, self.sim.clock.now())
        self.check()

    @rule(job_id=st.sampled_from([*JOBS, "below"]))
    def by_hand(self, job_id: str) -> None:
        start_run(self.sim.desk, job_id)
        self.check()

    @rule(job_id=st.sampled_from([*JOBS, "below"]), what=st.sampled_from([pause_job, resume_job]))
    def pause_or_resume(self, job_id: str, what: Any) -> None:
        what(self.sim.desk, job_id)
        self.check()

    @rule(job_id=st.sampled_from(JOBS), what=st.sampled_from([pause_schedule, resume_schedule]))
    def pause_or_resume_an_entry(self, job_id: str, what: Any) -> None:
        what(self.sim.desk, f"{job_id}:x")
        self.check()

    @rule(which=st.integers(0, 9), what=st.sampled_from([cancel_run, retry_run]))
    def cancel_or_retry(self, which: int, what: Any) -> None:
        runs = self.sim.store.read(lambda r: r.runs(RunFilter(), limit=10)).items
        if runs:
            try:
                what(self.sim.desk, runs[which % len(runs)].id)
            except GnomonError:
                return  # over already, or not yet
            self.check()

    def check(self) -> None:
        self.sim.store.read(lambda r: self.sim.checks.after_step(r, ()))

    def teardown(self) -> None:
        """Nothing goes wrong any more: all work must end (I5), every fire time have one decision (I1, I2)."""
        try:
            if self.sim.author.known:
                self.sim._heal()
        finally:
            if self.patched is not None:
                self.patched.__exit__(None, None, None)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logger = logging.getLogger("gnomon")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(before)


def _settings(examples: int) -> settings:
    """More with HYPOTHESIS_PROFILE=thorough."""
    times = settings().max_examples // 100
    return settings(
        max_examples=examples * times,
        stateful_step_count=25,
        deadline=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


def test_no_order_of_events_breaks_an_invariant() -> None:
    run_state_machine_as_test(Policies, settings=_settings(60))


@pytest.mark.parametrize("bug", ["overlap_ignored", "rate_ignored"])
def test_a_missing_guard_is_found(bug: str) -> None:
    class Broken(Policies):
        pass

    Broken.bug = bug
    with pytest.raises(Violation):
        run_state_machine_as_test(Broken, settings=settings(_settings(300), phases=[Phase.generate], database=None))
