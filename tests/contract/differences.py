"""All differences between the backends that the contract allows, with their reasons; the suite has no other skips.

``DIFFERENCES``: a feature, named by ``@pytest.mark.feature(...)``, and the backends that do not have it.
"""

DIFFERENCES: dict[str, dict[str, str]] = {
    "fork": {"kernel": "a kernel socket may be used on both sides of a fork; userland's belongs to the parent"},
    "no-detach": {"kernel": "a kernel descriptor can be detached"},
    "detach": {"userland": "there is no descriptor that could live on without the stack; EOPNOTSUPP"},
    "close-wakes": {"kernel": "a descriptor that is closed under a thread does not wake it; shutdown does"},
    "inherit": {"userland": "a socket cannot leave its process; EOPNOTSUPP"},
    "no-inherit": {"kernel": "a kernel descriptor can be inherited"},
    "auth": {"userland": "the engine does not speak RFC 4895 yet; ENOPROTOOPT"},
    "reconfig": {"userland": "the engine does not speak RFC 6525 yet; ENOPROTOOPT"},
    "stream-scheduler": {"userland": "the engine has one scheduler, first come first served; ENOPROTOOPT"},
    "interleaving": {"userland": "the engine does not speak RFC 8260 yet; ENOPROTOOPT"},
    "pr-policies": {"userland": "the engine knows lifetimes only (RFC 3758), not RFC 7496's other policies"},
    "pf": {"userland": "the engine does not speak RFC 7829 yet; ENOPROTOOPT"},
    "asconf": {"userland": "the engine does not speak RFC 5061 yet: EOPNOTSUPP while there are associations"},
    "no-asconf": {"kernel": "addresses can change while there are associations (with net.sctp.addip_enable)"},
    "ecn": {"userland": "UDP sockets do not show ECN marks of received datagrams; ENOPROTOOPT"},
    "plpmtud": {"userland": "the engine does not probe path MTUs yet; ENOPROTOOPT"},
    "reuse-port": {"userland": "SCTP ports are unique on the host; ENOPROTOOPT"},
    "unread-data-close": {"kernel": "Linux aborts when data was not read; userland ends gracefully"},
    "connect-error": {"kernel": "Linux tells no reason why one-to-many set-ups fail; ECONNREFUSED is assumed"},
    "own-send-buffers": {"kernel": "all associations of a one-to-many socket share one send buffer"},
    "looks-inside": {"kernel": "what the kernel keeps cannot be looked at"},
    "udp-port": {"kernel": "the kernel's UDP port is a sysctl"},
}
