"""From files and the store to a plan: ownership, moves, atomic files, dependencies over the whole set."""

from __future__ import annotations

from dataclasses import dataclass

from gnomon.core.model import Job
from gnomon.core.records import Source, SourceKind
from gnomon.jobfiles.applying import FilePlan, plan_files
from gnomon.jobfiles.graph import check_graph
from gnomon.jobfiles.parsing import ParsedFile
from tests.unit.jobfiles.rooms import parsed


@dataclass
class Record:
    job: Job
    source: Source


class Store:
    """Applies plans the way the house does, and remembers what was in effect."""

    def __init__(self) -> None:
        self.active: dict[str, Record] = {}
        self.files: dict[str, ParsedFile] = {}
        self.in_effect: dict[str, ParsedFile] | None = None

    def write(self, **texts: str) -> Store:
        for name, text in texts.items():
            path = f"/jobs/{name}.yaml"
            self.files[path] = parsed(text, path)
            assert self.files[path].usable, self.files[path].problems
        return self

    def plan(self, **more: object) -> FilePlan:
        plan = plan_files(self.active, self.files, root="/jobs", in_effect=self.in_effect, **more)  # type: ignore[arg-type]
        for job, path in plan.upserts:
            self.active[job.job_id] = Record(job, Source(SourceKind.FILE, path))
        for job_id in plan.retire:
            del self.active[job_id]
        self.in_effect = dict(plan.in_effect)
        again = plan_files(self.active, self.files, root="/jobs", in_effect=self.in_effect, **more)  # type: ignore[arg-type]
        assert not again.upserts
        assert not again.retire
        return plan

    def owners(self) -> dict[str, str]:
        return {name: (record.source.path or "")[6:7] for name, record in sorted(self.active.items())}


def file(*ids: str, **upstreams: str) -> str:
    entries = [
        f"- {{id: {name}, task: [date], depends_on: [{upstreams.get(name, '')}]}}" for name in [*ids, *upstreams]
    ]
    return "jobs:\n" + "\n".join(entries) if entries else "jobs: []"


def test_jobs_come_change_and_go() -> None:
    store = Store().write(a=file("x", "y"))
    assert len(store.plan().upserts) == 2
    store.write(a=file("x"))
    plan = store.plan()
    assert (plan.upserts, plan.retire) == ((), ("y",))
    store.write(a="job_id: x\ntask: [echo, x]")
    assert [job.job_id for job, _ in store.plan().upserts] == ["x"]
    store.files.clear()
    assert store.plan().retire == ("x",)


def test_the_first_owner_keeps_a_job_and_the_other_file_waits_as_a_whole() -> None:
    store = Store().write(b=file("x"))
    store.plan()
    store.write(a=file("x", "y"))
    plan = store.plan()
    assert plan.upserts == ()
    problem = plan.problems["/jobs/a.yaml"][0]
    assert problem.code == "duplicate_job_id"
    assert "/jobs/a.yaml" in problem.message
    assert "/jobs/b.yaml" in problem.message
    assert (problem.file, problem.line) == ("/jobs/a.yaml", 2)
    store.write(b=file("z"))
    plan = store.plan()
    assert not plan.problems
    assert plan.retire == ()
    assert store.owners() == {"x": "a", "y": "a", "z": "b"}


def test_two_files_that_come_together_are_decided_by_name() -> None:
    store = Store().write(b=file("x"), a=file("x"))
    assert list(store.plan().problems) == ["/jobs/b.yaml"]
    assert store.owners() == {"x": "a"}


def test_a_moved_job_is_an_upsert_and_never_retired() -> None:
    store = Store().write(a=file("x", "y"))
    store.plan()
    plan = store.write(a=file("y"), b=file("x")).plan()
    assert plan.retire == ()
    assert [(job.job_id, path) for job, path in plan.upserts] == [("x", "/jobs/b.yaml")]


def test_a_job_moves_out_of_a_deleted_file_and_out_of_a_held_one() -> None:
    store = Store().write(a=file("x", "y"))
    store.plan()
    del store.files["/jobs/a.yaml"]
    plan = store.write(b=file("x")).plan(held=["/jobs/a.yaml"])
    assert plan.retire == ()
    assert store.owners() == {"x": "b", "y": "a"}
    assert store.plan().retire == ("y",)


def test_a_file_without_a_usable_version_keeps_its_jobs() -> None:
    store = Store().write(a=file("x"))
    store.plan()
    store.files.clear()
    store.in_effect = None  # a restart
    plan = store.write(b=file("x")).plan(broken=["/jobs/a.yaml"])
    assert plan.problems["/jobs/b.yaml"][0].code == "duplicate_job_id"
    assert store.owners() == {"x": "a"}


def test_jobs_of_other_sources_are_left_alone_and_named() -> None:
    store = Store().write(a=file("x"))
    job = store.files["/jobs/a.yaml"].jobs[0]
    for kind, word in ((SourceKind.PYTHON, "Python"), (SourceKind.REST, "API")):
        store.active = {"x": Record(job, Source(kind)), "p": Record(job, Source(SourceKind.PYTHON))}
        plan = store.plan()
        assert (plan.upserts, plan.retire) == ((), ())
        assert plan.problems["/jobs/a.yaml"][0].code == "job_owned_elsewhere"
        assert word in plan.problems["/jobs/a.yaml"][0].message


def test_jobs_of_files_elsewhere_are_not_retired() -> None:
    store = Store()
    job = parsed(file("x")).jobs[0]
    store.active = {"x": Record(job, Source(SourceKind.FILE, "/other/a.yaml"))}
    assert store.plan().retire == ()
    assert store.plan(removed=["/other/a.yaml"]).retire == ("x",)


def test_an_unknown_dependency_refuses_the_new_version() -> None:
    store = Store().write(a=file("x"))
    store.plan()
    plan = store.write(a=file("x", y="xx")).plan()
    problem = plan.problems["/jobs/a.yaml"][0]
    assert (problem.code, problem.line, problem.column) == ("unknown_dependency", 3, 38)
    assert "`x`" in problem.hint
    assert store.owners() == {"x": "a"}
    assert not store.write(b=file("xx")).plan().problems
    assert store.owners() == {"x": "a", "xx": "b", "y": "a"}


def test_a_cycle_over_files_refuses_the_version_that_closes_it() -> None:
    store = Store().write(a=file(x="y"), b=file("y"))
    store.plan()
    plan = store.write(b=file(y="x")).plan()
    assert list(plan.problems) == ["/jobs/b.yaml"]
    assert "x → y → x" in plan.problems["/jobs/b.yaml"][0].message
    assert store.active["y"].job.depends_on == ()


def test_at_the_start_all_files_are_judged_together() -> None:
    store = Store().write(a=file(x="y"), b=file(y="z"), c=file("z"))
    assert not store.plan().problems
    cyclic = Store().write(a=file(x="y"), b=file(y="x"), c=file("z"))
    assert set(cyclic.plan().problems) == {"/jobs/a.yaml", "/jobs/b.yaml"}
    assert cyclic.owners() == {"z": "c"}


def test_deleting_what_others_depend_on_leaves_them_with_a_warning() -> None:
    store = Store().write(a=file(x="y"), b=file("y"))
    store.plan()
    del store.files["/jobs/b.yaml"]
    plan = store.plan()
    assert plan.retire == ("y",)
    assert plan.warnings["/jobs/a.yaml"][0].code == "unknown_dependency"
    assert store.owners() == {"x": "a"}
    store.in_effect = None
    assert store.plan().warnings


def test_a_chain_on_a_refused_file_is_refused_quickly() -> None:
    store = Store()
    store.files = {
        f"/jobs/{n}.yaml": parsed(f"job_id: j{n}\ntask: [date]\ndepends_on: [j{n + 1}]", f"/jobs/{n}.yaml")
        for n in range(300)
    }
    plan = plan_files({}, store.files, root="/jobs")
    assert len(plan.problems) == 300
    assert not plan.upserts
    assert "/jobs/1.yaml, which is not applied" in plan.problems["/jobs/0.yaml"][0].message


def test_the_bad_entries_of_a_bare_list_keep_their_jobs_and_the_others_apply() -> None:
    store = Store().write(a="- {id: x, task: [date]}\n- {id: y, task: [date]}\n- {id: z, task: [date]}")
    store.plan()
    store.write(a="- {id: x, task: [echo, x]}\n- {id: y, task: 5}")
    plan = store.plan()
    assert [job.job_id for job, _ in plan.upserts] == ["x"]
    assert plan.retire == ("z",)
    assert set(store.owners()) == {"x", "y"}


def test_a_job_that_goes_on_only_because_an_entry_has_no_id_is_named() -> None:
    store = Store().write(a="- {id: x, task: [date]}\n- {id: y, task: [date]}\n- {id: z, task: [date]}")
    store.plan()
    store.write(a="- {id: x, task: [date]}\n- {task: [date]}")
    plan = store.plan()
    assert plan.retire == (), "one of them may be the entry without an id"
    told = plan.warnings["/jobs/a.yaml"]
    assert [problem.code for problem in told] == ["perhaps_removed"] * 2
    assert "'y'" in told[0].message
    assert "'z'" in told[1].message
    store.write(a="- {id: x, task: [date]}\n- {id: y, task: [date]}")
    plan = store.plan()
    assert (plan.retire, plan.warnings) == (("z",), {})


def test_only_the_entry_of_a_bare_list_that_another_file_has_is_left_out() -> None:
    store = Store().write(a=file("x"), b="- {id: x, task: [date]}\n- {id: y, task: [date], depends_on: [x]}")
    plan = store.plan()
    assert store.owners() == {"x": "a", "y": "b"}
    assert len(plan.problems["/jobs/b.yaml"]) == 1


def test_pools_of_all_files_are_merged_and_disagreement_is_told() -> None:
    store = Store().write(a="pools: {db: 2, net: 1}", b="pools: {db: 3, net: 1}")
    plan = store.plan()
    assert plan.pools == {"db": 2, "net": 1}
    assert [w.code for w in plan.warnings["/jobs/b.yaml"]] == ["duplicate_pool"]


def test_graphs_are_checked_without_recursion() -> None:
    chain = {f"j{n}": [f"j{n + 1}"] for n in range(50_000)}
    chain["j50000"] = ["j0"]
    faults = check_graph(chain)
    assert [fault.code for fault in faults] == ["dependency_cycle"]
    assert "j0 → j1 → " in faults[0].message
    assert len(faults[0].message) < 200
    assert [f.code for f in check_graph({"a": ["a", "b"]})] == ["unknown_dependency", "self_dependency"]
