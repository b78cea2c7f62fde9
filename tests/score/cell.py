"""What a cell of the score is."""
import math


class Cell:
    """One run: the callers, the fault (None for nothing broken; a name, a name and its setting, or as a scenario has it), and what
    is true.

    truth: {(detector, subject): (state, {parameter: (value, tolerance)})}; a value may be the name of a count that is known only
    after the run (`lost`, `twice`, what a fixture counted, and `each`: what failed in each of several faults). A state is `present`,
    `absent`, `trap` (anything but present), `veiled` (anything but absent: it is there, and the run shows little of it), `counted`
    (present, but absent where its count is 0: what is likely to happen and may not), `pending` (absent, but a trap where a message had
    its effect and will be delivered again) or `open` (must not be decided). A tolerance is a share of the value plus an absolute part.
    """

    def __init__(self, spec, fault, truth, phases=(1, 8, 12, 8), rate=20, library=None, **more):
        self.spec, self.fault, self.truth, self.phases, self.rate = spec, fault, truth, phases, rate
        self.library = library
        self.loads = more.get("loads", ["/"])
        self.ready, self.live = more.get("ready", False), more.get("live", False)
        # Of which requests the fault is, and how far into its phase it begins, in seconds.
        self.which, self.begins = more.get("which"), more.get("begins", 0.0)
        self.arrivals = more.get("arrivals", "poisson")
        self.timeout = more.get("timeout", 30)
        self.callee = more.get("callee", "own")
        self.front = more.get("front")
        self.example = more.get("example")
        self.cycles = more.get("cycles")
        self.store = more.get("store")
        # The places that the ledger reads: where messages have their effects, with dead letters and queues.
        self.reads = more.get("reads", ("read",))
        # So many messages must have been delivered more than once, or the run says nothing.
        self.again_at_least = more.get("again_at_least", 0)
        self.instances = more.get("instances", 1)
        self.quiet = more.get("quiet")
        self.serves = more.get("serves", {})
        # What all loads declare that their users need, by edge; None: nothing.
        self.declares = more.get("declares")
        # When in the fault the caller is killed, and for how long it is gone, in seconds.
        self.restart = more.get("restart")
        self.ramp = more.get("ramp")
        self.in_flight = more.get("in_flight")


EDGE = "edge"

# Of two loads at 20 a second, one of which stands by and is spared: 600 requests of it in baseline and fault. Fewer than 381,
# all of them good, can never show that it loses less than a point. That it loses much shows at once.
SPARED = (1, 30, 30, 6)
NOT_SPARED = (1, 20, 12, 6)


def close(value, share=0.05, plus=0.0):
    return value, share * abs(value) + plus


def raised(spec, state, capacity=None, **more):
    """A load at 20 a second that is raised by half every 4 s to 150. A capacity is that of the configuration, within a tenth."""
    first, last, by, every = 20, 150, 1.5, 4
    steps = math.ceil(math.log(last / first) / math.log(by))
    truth = {("capacity", "user"): (state, {"capacity": close(capacity, 0.1)} if capacity else {})}
    ramp = {"to": f"{last}/s", "by": by, "every": f"{every}s"}
    return Cell(spec, more.pop("fault", None), truth, phases=(1, 8, steps * every, 4), rate=first, ramp=ramp, **more)
