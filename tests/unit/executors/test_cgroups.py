"""Control groups: found by what `/proc` says, made, entered, ended and removed; on a made-up tree and on the real one."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from harness import until
from headrace.executors.local import processes
from headrace.executors.local.cgroups import CgroupsUnusable, ControlGroup, Limits, Tree, find
from headrace.executors.local.limits import Confinement

MOUNT = "30 20 0:25 {root} {point} rw,relatime - {kind} none rw,{options}\n"


def a_proc(tmp_path: Path, mountinfo: str, own: str) -> Path:
    folder = tmp_path / "proc" / "self"
    folder.mkdir(parents=True)
    (folder / "mountinfo").write_text(mountinfo)
    (folder / "cgroup").write_text(own)
    return tmp_path / "proc"


def version_2(folder: Path, *, controllers: str = "cpu memory pids", procs: str = "", enabled: str = "") -> Path:
    """A directory as the kernel shows it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cgroup.controllers").write_text(controllers)
    (folder / "cgroup.subtree_control").write_text(enabled)
    (folder / "cgroup.procs").write_text(procs)
    return folder


def test_version_2_in_a_subtree_that_is_ours(tmp_path):
    root = version_2(tmp_path / "cg", controllers="cpuset")
    own = version_2(root / "user.slice" / "run-1.scope", procs=f"{os.getpid()}\n")
    leaf = version_2(own / "headrace-server")
    version_2(own / "headrace-x")
    proc = a_proc(
        tmp_path, MOUNT.format(root="/", point=root, kind="cgroup2", options=""), "0::/user.slice/run-1.scope\n"
    )
    tree = find("headrace-x", proc)
    assert (tree.version, tree.bases["memory"]) == (2, str(own / "headrace-x"))
    assert (leaf / "cgroup.procs").read_text() == str(os.getpid())
    for folder in (own, own / "headrace-x"):
        assert (folder / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"


def test_version_2_after_a_restart_in_the_same_subtree(tmp_path):
    root = version_2(tmp_path / "cg", controllers="")
    own = version_2(root / "a b.scope", enabled="cpu memory pids")
    version_2(own / "headrace-server", procs=f"{os.getpid()}\n")
    point = str(root).replace(" ", "\\040")
    mountinfo = MOUNT.format(root="/", point=point, kind="cgroup2", options="")
    tree = find("headrace-x", a_proc(tmp_path, mountinfo, "0::/a b.scope/headrace-server\n"))
    assert tree.bases["pids"] == str(own / "headrace-x")
    assert (own / "cgroup.subtree_control").read_text() == "cpu memory pids"


def test_version_2_shared_with_others_is_not_ours(tmp_path):
    root = version_2(tmp_path / "cg", controllers="cpuset")
    version_2(root / "session.scope", procs=f"{os.getpid()}\n7\n")
    proc = a_proc(tmp_path, MOUNT.format(root="/", point=root, kind="cgroup2", options=""), "0::/session.scope\n")
    with pytest.raises(CgroupsUnusable, match="systemd-run --user --scope -p Delegate=yes headrace up"):
        find("headrace-x", proc)


def test_version_1_below_our_own_groups(tmp_path):
    lines, own = "", "0::/\n"
    for number, names in enumerate(("cpu,cpuacct", "memory", "pids"), 1):
        folder = tmp_path / "cg" / names / "docker" / "me"
        folder.mkdir(parents=True)
        point = tmp_path / "cg" / names
        lines += MOUNT.format(root="/outside", point=point, kind="cgroup", options=names)
        own += f"{number}:{names}:/outside/docker/me\n"
    tree = find("headrace-x", a_proc(tmp_path, lines, own))
    assert (tree.version, set(tree.bases)) == (1, {"cpu", "memory", "pids"})
    assert all(Path(base).is_dir() and "docker/me/headrace-x" in base for base in tree.bases.values())


@pytest.mark.parametrize("mountinfo", ["", MOUNT.format(root="/", point="/x", kind="cgroup2", options="")])
def test_none_to_be_had(mountinfo, tmp_path):
    with pytest.raises(CgroupsUnusable, match=r"\w.*\."):
        find("headrace-x", a_proc(tmp_path, mountinfo, "0::/\n"))


def test_limits_of_version_2(tmp_path):
    base = version_2(tmp_path / "headrace-x")
    tree = Tree(2, dict.fromkeys(("pids", "memory", "cpu"), str(base)))
    group = tree.of("tag", Limits())
    (folder,) = map(Path, group.directories)
    folder.mkdir()
    names = ("memory.max", "memory.swap.max", "memory.oom.group", "pids.max", "cpu.max", "cgroup.procs")
    for name in names:
        (folder / name).write_text("")
    tree.make(group, Limits(memory_bytes=1 << 20, cpus=0.5, processes=9))
    assert [(folder / name).read_text() for name in names] == [str(1 << 20), "0", "1", "9", "50000 100000", ""]
    (folder / "memory.events").write_text("low 0\nhigh 0\nmax 7\noom 2\noom_kill 3\n")
    assert (group.out_of_memory_kills(), group.reached_memory_limit()) == (3, True)
    assert tree.joins(group) == (f"{folder}/cgroup.procs",)


def test_version_1_has_as_few_directories_as_will_do(tmp_path):
    tree = Tree(1, {name: str(tmp_path / name) for name in ("pids", "memory", "cpu")})
    bare, limited = tree.of("tag", Limits(processes=5)), tree.of("tag", Limits(memory_bytes=1, cpus=1.5))
    assert [Path(path).parent.name for path in bare.directories] == ["pids", "memory"]
    assert [Path(path).parent.name for path in limited.directories] == ["pids", "memory", "cpu"]
    assert len(tree.joins(limited)) == 3


def test_all_groups_together_have_a_limit(tmp_path):
    base = version_2(tmp_path / "headrace-x")
    (base / "memory.max").write_text("max")
    tree = Tree(2, dict.fromkeys(("pids", "memory", "cpu"), str(base)))
    tree.total_memory_bytes = 1 << 30
    tree.open()
    assert (base / "memory.max").read_text() == str(1 << 30)


# --- the real thing ------------------------------------------------------------------------------


@pytest.fixture
def tree(tmp_path):
    try:
        found = find(f"headrace-test-{os.getpid()}")
    except CgroupsUnusable as error:
        pytest.skip(str(error))
    yield found
    for group in found.others(set()):
        processes.end(lambda group=group: processes.grouped(group), group)
        group.remove()
    found.close()
    assert not any(Path(base).exists() for base in found.bases.values())


def entered(group: ControlGroup, joins: tuple[str, ...], script: str) -> subprocess.Popen[bytes]:
    enter = "".join(f"echo 0 > {path}; " for path in joins)
    return subprocess.Popen(["sh", "-c", enter + script], stdout=subprocess.PIPE)


def test_what_killed_servers_left_is_cleared_away(tree):
    base = Path(tree.bases["pids"])
    left = base.with_name(f"{base.name}-dead")
    left.mkdir()
    group = tree.of("tag", Limits())
    tree.clear_away()
    assert (left.exists(), base.exists()) == (False, True)
    tree.close()
    assert not base.exists()
    tree.make(group, Limits())
    assert all(Path(path).is_dir() for path in group.directories)
    assert group.remove()


def test_children_belong_wherever_they_go(tree):
    group = tree.of("tag", Limits())
    tree.make(group, Limits())
    strayed = entered(group, tree.joins(group), "env -i setsid sh -c 'cd /; sleep 600 & echo $!; wait'")
    assert strayed.stdout is not None
    pid = int(strayed.stdout.readline())
    assert {pid, strayed.pid} <= set(group.members()) | {strayed.pid}
    assert pid in group.members()
    assert not group.remove()
    processes.end(lambda: processes.grouped(group), group)
    assert strayed.wait() != 0
    strayed.stdout.close()
    assert group.members() == []
    assert group.remove()


def test_it_grows_no_further_than_its_limit(tree):
    limits = Limits(processes=10)
    group = tree.of("tag", limits)
    tree.make(group, limits)
    bomb = entered(group, tree.joins(group), "while :; do sleep 600 & done")
    until(group.refused_processes, "it asks for more")
    assert 1 <= len(group.members()) <= 10
    processes.end(lambda: processes.grouped(group), group)
    bomb.wait()
    assert bomb.stdout is not None
    bomb.stdout.close()
    assert group.remove()


@pytest.mark.parametrize("limit", [1, 32 << 20])
def test_more_memory_than_its_limit(limit, tree):
    if "memory" not in tree.bases:
        pytest.skip("no memory controller")
    limits = Limits(memory_bytes=limit)
    group = tree.of("tag", limits)
    tree.make(group, limits)
    hungry = entered(group, tree.joins(group), "exec python3 -c 'x = bytearray(200 << 20)'")
    assert hungry.wait() == -9
    assert hungry.stdout is not None
    hungry.stdout.close()
    assert group.out_of_memory_kills() >= 1
    assert group.reached_memory_limit()
    assert group.remove()


def pool_over(tree: Tree) -> Confinement:
    return Confinement(tree)


def test_a_group_is_used_again_when_nothing_happened_in_it(tmp_path):
    """One that is not clean is removed; other limits have other groups; a name is never given twice."""
    tree = Tree(2, dict.fromkeys(("pids", "memory", "cpu"), str(tmp_path)))
    pool = pool_over(tree)
    few, many = Limits(processes=5), Limits(processes=50)
    first = pool.take(few)
    assert first is not None
    pool.release(first, few)
    assert pool.groups() == []
    other = pool.take(many)
    again = pool.take(few)
    assert other is not None
    assert again is not None
    assert (again.name, other.name != first.name) == (first.name, True)
    (tmp_path / again.name / "pids.events").write_text("max 1\n")
    pool.release(again, few)
    fresh = pool.take(few)
    assert fresh is not None
    assert fresh.name not in (first.name, other.name)


def test_a_group_with_processes_in_it_is_not_given_to_another_attempt(tmp_path):
    pool = pool_over(Tree(2, dict.fromkeys(("pids", "memory", "cpu"), str(tmp_path))))
    limits = Limits()
    used = pool.take(limits)
    assert used is not None
    (tmp_path / used.name / "cgroup.procs").write_text("1\n")
    pool.release(used, limits)
    following = pool.take(limits)
    assert following is not None
    assert following.name != used.name


def test_the_group_of_an_earlier_server_is_kept_by_its_name_and_no_other(tmp_path):
    tree = Tree(2, dict.fromkeys(("pids", "memory", "cpu"), str(tmp_path)))
    earlier, later = pool_over(tree), pool_over(tree)
    kept, left = earlier.take(Limits()), earlier.take(Limits())
    mine = later.take(Limits())
    assert kept is not None
    assert left is not None
    assert mine is not None
    later.remove_others({kept.name})
    assert {path.name for path in tmp_path.iterdir()} == {kept.name, mine.name}
    assert later.take(Limits(), kept.directories).directories == kept.directories
