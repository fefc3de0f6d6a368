"""Say in words that an operator can act on why a sandbox could not be built."""

from __future__ import annotations

from pathlib import Path

APPARMOR_PROFILE = Path(__file__).parent / "apparmor" / "stylearena-bwrap"

_NAMESPACE_SIGNS = (
    "No permissions to create",
    "Creating new namespace failed",
    "setting up uid map",
    "Failed RTM_NEWADDR",
    "Failed to make / slave",
    "Can't mount proc",
    "Can't mount tmpfs",
    "Operation not permitted",
    "Permission denied",
    "No space left on device",  # what the kernel says when the number of namespaces is 0
)


def explain(stderr: str, otherwise: str) -> str:
    """Turn what bubblewrap or the keeper printed into a reason with a remedy."""
    said = " ".join(stderr.split())[-600:]
    if "bwrap:" in stderr and any(sign in stderr for sign in _NAMESPACE_SIGNS):
        return f"{_forbidden()} (bubblewrap said: {said})"
    if "can't give up root's rights" in stderr:
        return f"Root has only one user id here. Run the workers under an ordinary one. ({said})"
    if not said:
        return otherwise
    return f"{otherwise} It said: {said}"


def _forbidden() -> str:
    if _kernel_says("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1"):
        return (
            "AppArmor forbids bubblewrap's user namespaces. Allow them: sudo install -m 644 "
            f"'{APPARMOR_PROFILE}' /etc/apparmor.d/ && sudo apparmor_parser -r "
            f"/etc/apparmor.d/{APPARMOR_PROFILE.name}"
        )
    if _kernel_says("/proc/sys/user/max_user_namespaces", "0"):
        return (
            "This machine allows no user namespaces. Allow them: "
            "sudo sysctl -w user.max_user_namespaces=15000"
        )
    if _kernel_says("/proc/sys/kernel/unprivileged_userns_clone", "0"):
        return (
            "This machine allows user namespaces to root only. Allow them: "
            "sudo sysctl -w kernel.unprivileged_userns_clone=1"
        )
    return (
        "The sandbox may not make its namespaces here. In a container, start it with a seccomp "
        "profile that allows unshare, mount and pivot_root (Docker: --security-opt "
        "seccomp=<profile> --security-opt apparmor=unconfined --security-opt systempaths="
        "unconfined; never --privileged), or run the workers on the host"
    )


def _kernel_says(switch: str, value: str) -> bool:
    try:
        return Path(switch).read_text().strip() == value
    except OSError:
        return False
