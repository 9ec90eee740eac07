"""What every target shares: the environment of Ray, how a node of it starts, and what an image is checked for."""

from __future__ import annotations

from raypipe.cluster.spec import ClusterSpec

TOKEN_PATH = "/home/ray/.raypipe/cluster_token"
"""Where the token lies on a node."""
EARLY_EXIT = "RAY_enable_infeasible_task_early_exit"
"""Work that no pool can ever run fails at once, in place of waiting without end."""
BOOTSTRAP = "~/ray_bootstrap_config.yaml"
"""Where Ray's launcher puts its settings on the head."""
OPEN_FILES = 65_536


def environment(token_path: str) -> dict[str, str]:
    """Environment of every Ray process. It names the token's file and never holds the token."""
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": token_path, EARLY_EXIT: "true"}


def head_flags(spec: ClusterSpec, dashboard_host: str) -> list[str]:
    """Flags of `ray start` on the head."""
    ports = spec.ports
    return [
        "--head", f"--port={ports.gcs}", f"--dashboard-host={dashboard_host}", f"--dashboard-port={ports.dashboard}",
        *node_flags(spec), "--num-cpus=0",
    ]  # fmt: skip


def node_flags(spec: ClusterSpec) -> list[str]:
    """Flags of `ray start` on any node."""
    ports = spec.ports
    return [
        f"--object-manager-port={ports.object_manager}", f"--dashboard-agent-listen-port={ports.agent}",
        f"--metrics-export-port={ports.metrics}", "--disable-usage-stats",
    ]  # fmt: skip


def start_commands(spec: ClusterSpec) -> dict[str, list[str]]:
    """Commands of Ray's launcher that start Ray, in place of its defaults, which open the dashboard to all."""
    given = " ".join(f"{name}={value}" for name, value in environment(TOKEN_PATH).items())
    before = f"ulimit -n {OPEN_FILES}; export {given}; ray start"
    head = " ".join([before, *head_flags(spec, "127.0.0.1"), f"--autoscaling-config={BOOTSTRAP}"])
    worker = " ".join([before, f"--address=$RAY_HEAD_IP:{spec.ports.gcs}", *node_flags(spec)])
    return {"head_start_ray_commands": ["ray stop", head], "worker_start_ray_commands": ["ray stop", worker]}


def own_token_command() -> str:
    """A command that makes the token's file readable in the container, whoever brought it to the machine."""
    return f'test -r {TOKEN_PATH} || sudo chown "$(id -u):$(id -g)" {TOKEN_PATH}'


def check_command(spec: ClusterSpec) -> str:
    """A command that fails unless the image holds the versions of the spec, so that a wrong one is told at once."""
    wanted = f"{spec.versions.ray} {spec.versions.python} {spec.versions.raypipe}"
    found = "print(ray.__version__, '%d.%d' % sys.version_info[:2], raypipe.__version__)"
    return f'test "$(python -c "import ray, raypipe, sys; {found}")" = "{wanted}"'
