"""Runs the cells through the real proxy and scores what the detectors say against what is true.

    score.py --murphy target/debug/murphy [--runs 3] [--jobs 4] [--only f4] [--smoke] [--again 2] [--table docs/detectors.md]

Needs Python 3.9; cells of libraries that are not installed, of nginx, HAProxy, Redis and PostgreSQL where these are not there, and of
Rust where `cargo build -p murphy-tests --example score_service` has not put their service beside murphy, are skipped by name. Exit
code 0 if no answer is wrong, 1 otherwise, 3 if a run could not be carried out. A whole score (all cells, three runs or more of each,
or --from-results) ends with 1 also where a detector misses one of its bars (see BARS); --smoke also where an answer is open though
the truth is clear, unless the requests of that run were sent late.
"""
import argparse
import collections
import concurrent.futures
import json
import math
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import servers
from cell import EDGE
from cells import CELLS, SMOKE


def scenario(cell, name, seed, where, murphy):
    listen, *ports = (f"127.0.0.1:{port}" for port in servers.free_ports(1 + 2 * cell.instances))
    proxied, direct = ports[0], ports[1]
    all_proxied = ports[0::2]
    callee, reads = servers.callee(cell, where, listen, direct)
    if cell.front:
        command = servers.front(cell, where, listen, all_proxied)
    elif cell.example:
        command = [servers.example(cell, murphy), "--listen", listen, "--upstream", proxied, "--spec", json.dumps(cell.spec)]
        command += ["--truth", os.path.join(where, "truth.json")]
    else:
        command = servers.own("caller", listen, queued(cell.spec, where, direct)) + ["--upstream", ",".join(all_proxied)]
        command += ["--truth", os.path.join(where, "truth.json"), "--acks", os.path.join(where, "kept.acks")]
    warm, base, fault, after = cell.phases
    loads = {}
    for path in cell.loads:
        load = "user" if path == "/" else path.strip("/")
        loads[load] = {
            "http": f"GET http://{listen}{path}",
            "rate": f"{cell.rate:.2f}/s",
            "arrivals": cell.arrivals,
            "timeout": f"{cell.timeout * 1000:.0f}ms",
        }
        if cell.ramp:
            loads[load]["ramp"] = cell.ramp
        if cell.in_flight:
            loads[load]["in-flight-max"] = cell.in_flight
        if cell.store is not None:
            loads[load]["http"] = f"POST http://{listen}/write/${{{load}.id}}"
            loads[load]["ledger"] = {**reads, "settle": "1s", "within": "15s"}
        if cell.declares is not None:
            loads[load]["depends-on"] = cell.declares
    name_of, inject = injected(cell.fault)
    faults = []
    cycles = (cell.cycles or 1) if cell.fault else 0
    each = fault / max(cycles, 1)
    for cycle in range(cycles):
        on = each * (0.3 if cell.cycles else 1.0)
        on_what = {"service": "callee"} if name_of in ("kill", "freeze") else {"edge": EDGE}
        at = each * cycle + cell.begins
        faults.append({**on_what, "inject": inject, "at": f"{at * 1000:.0f}ms", "for": f"{(on - cell.begins) * 1000:.0f}ms"})
        if cell.which:
            faults[-1]["which"] = cell.which
    if cell.restart:
        at, gone = cell.restart
        faults.append({"service": "caller", "inject": "kill", "at": f"{at * 1000:.0f}ms", "for": f"{gone * 1000:.0f}ms"})
    document = {
        "murphy": 1,
        "name": f"{name} {seed}",
        "seed": seed,
        "services": {
            "callee": callee,
            "caller": {"run": command, "ready": {"http": f"GET http://{listen}/live"}, "within": "30s"},
        },
        "edges": {EDGE: {"listen": proxied, "to": direct, "protocol": "http" if cell.callee == "own" else cell.callee}},
        "load": loads,
        "phases": {"warm-up": f"{warm}s", "baseline": f"{base}s", "fault": f"{fault}s", "recovery": f"{after}s"},
        "faults": faults,
        "learn": "all",
    }
    for index in range(1, cell.instances):
        proxied, direct = ports[2 * index : 2 * index + 2]
        another, _ = servers.callee(cell, where, listen, direct)
        document["services"] = {f"callee-{index + 1}": another, **document["services"]}
        document["edges"][f"{EDGE}-{index + 1}"] = {"listen": proxied, "to": direct, "protocol": "http"}
    if cell.instances > 1:
        for edge in document["edges"].values():
            edge["instance-of"] = "callee"
    if cell.quiet:
        quiet, again = cell.quiet
        document["phases"].update({"quiet": f"{quiet}s", "again": f"{again}s"})
    asked = [name for name, is_asked in (("ready", cell.ready), ("live", cell.live)) if is_asked]
    if asked:
        every = "500ms" if cell.restart else "1s"
        document["probes"] = {name: {"http": f"GET http://{listen}/{name}", "every": every} for name in asked}
    path = os.path.join(where, "scenario.yaml")
    with open(path, "w") as file:
        json.dump(document, file, indent=1)
    return path


def queued(spec, where, direct):
    """A queue is asked for past the edge, and what becomes of its messages is written down."""
    return {**spec, "queue": {**spec["queue"], "at": direct, "log": os.path.join(where, "queue")}} if "queue" in spec else spec


def injected(fault):
    """The name of a fault, and how a scenario asks for it."""
    if isinstance(fault, dict):
        return next(iter(fault)), fault
    name, _, setting = (fault or "").partition(" ")
    setting = int(setting) if setting.isdigit() else setting
    return name, {name: setting} if setting else name if name in ("refuse", "kill", "freeze") else {name: {}}


def run(job):
    name, seed, murphy, keep = job
    cell = CELLS[name](random.Random(f"{name}/{seed}"))
    why = servers.missing(cell, murphy)
    if why:
        return {"cell": name, "seed": seed, "library": cell.library, "skipped": why}
    where = tempfile.mkdtemp(prefix=f"murphy-score-{name}-")
    try:
        path = scenario(cell, name, seed, where, murphy)
        out = os.path.join(where, "out.json")
        environment = dict(os.environ, MURPHY_STATE_DIR=os.path.join(where, "state"))
        done = subprocess.run(
            [murphy, "run", path, "--json", out, "--report-dir", os.path.join(where, "runs"), "--inconclusive", "warn"],
            capture_output=True,
            text=True,
            env=environment,
            cwd=where,
            timeout=sum(cell.phases) + sum(cell.quiet or ()) + 120,
        )
        if not os.path.exists(out):
            return {"cell": name, "seed": seed, "error": (done.stdout + done.stderr)[-1500:]}
        with open(out) as file:
            judgement = json.load(file)[0]
        return {"cell": name, "seed": seed, "library": cell.library, "answers": list(answers(cell, judgement, counted(cell, where))), "late": any(gate["id"] == "load-on-time" and not gate["holds"] for gate in judgement["gates"]), "gates": [gate["text"] for gate in judgement["gates"] if not gate["holds"]], "where": where if keep else None}
    except subprocess.TimeoutExpired:
        return {"cell": name, "seed": seed, "error": "took too long"}
    except Exception as error:  # one run that cannot be carried out must not cost all others
        return {"cell": name, "seed": seed, "error": f"{type(error).__name__}: {error}"}
    finally:
        if not keep:
            shutil.rmtree(where, ignore_errors=True)


def subject(finding):
    value = finding["subject"]
    return next(iter(value.values())) if isinstance(value, dict) else value


WRITE = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def is_count(expected):
    return isinstance(expected, tuple) and isinstance(expected[0], str)


def counted(cell, where):
    """What is known only now: of the writes, and what a fixture counted."""
    if cell.store is None:
        if not any(is_count(expected) for _, parameters in cell.truth.values() for expected in parameters.values()):
            return {}
        with open(os.path.join(where, "truth.json")) as file:
            noted = collections.Counter(json.load(file))
        return {"flips": noted["flips"], "each": noted["failed"] / (cell.cycles or 1)}
    if "queue" in cell.spec:
        return counted_in_queue(cell, where)
    kept = collections.Counter(servers.kept(cell, where))
    with open(os.path.join(where, "kept.acks")) as file:
        acks = set(file.read().split())
    return counts(acks - set(kept), kept)


def counts(lost, kept):
    """`ids`: which they are, by the detector that names some of them."""
    twice = {one for one, times in kept.items() if times > 1}
    return {"lost": len(lost), "twice": len(twice), "ids": {"lost": lost, "duplicates": twice}}


def counted_in_queue(cell, where):
    """The same of messages that were queued: lost is what is in none of the places that the ledger reads."""
    told = collections.defaultdict(collections.Counter)
    with open(os.path.join(where, "queue")) as file:
        for word, one in map(str.split, file):
            told[word][one] += 1
    again = sum(times > 1 for times in told["delivered"].values())
    if again < cell.again_at_least:
        raise servers.Refused(f"{again} messages were delivered more than once")
    places = servers.places(cell, where, told)
    kept = collections.Counter(places["read"])
    acks = set(told["acked"])
    found = {place: acks.intersection(places[place]) for place in cell.reads}
    both = set(kept).intersection(places["queued"])
    return {**counts(acks.difference(*found.values()), kept), **{place: len(ids) for place, ids in found.items()}, "both": len(both)}


def known(truth, counted):
    """A truth with its counts filled in."""
    wanted, parameters = truth
    counts = {name: expected for name, expected in parameters.items() if is_count(expected)}
    filled = {name: (counted[count], tolerance) for name, (count, tolerance) in counts.items()}
    if wanted == "counted":
        if any(count == 0 for count, _ in filled.values()):
            return "absent", {}
        wanted = "present"
    if wanted == "pending":
        wanted = "trap" if counted["both"] else "absent"
    return wanted, {**parameters, **filled}


def answers(cell, judgement, counted):
    for (detector, about), truth in cell.truth.items():
        wanted, parameters = known(truth, counted)
        found = [f for f in judgement["findings"] if f["detector"] == detector and subject(f) == about]
        if not found:
            yield {"detector": detector, "wanted": wanted, "said": "nothing", "text": "", "parameters": {}}
            continue
        finding = found[0]
        state = next(iter(finding["state"]))
        told = finding["state"][state].get("params", {})
        checked = {}
        for parameter, expected in parameters.items():
            reading = told.get(parameter)
            if isinstance(expected, str):
                # `growing` and `unresolved` leave a shape open; they do not name a wrong one.
                text = reading["text"] if reading else None
                checked[parameter] = {"true": expected, "told": text, "good": text == expected, "open": text in (None, "growing", "unresolved")}
            else:
                value, tolerance = expected
                # Of what is told as a lower limit, that.
                told_value = reading["low"] if reading and reading["value"] is None else reading and reading["value"]
                off = abs(told_value - value) if told_value is not None else None
                checked[parameter] = {"true": value, "told": told_value, "good": off is not None and off <= tolerance + 1e-9, "open": told_value is None}
        if state == "present" and detector in counted.get("ids", {}):
            named, ids = WRITE.findall(finding["text"]), counted["ids"][detector]
            checked["ids"] = {"true": f"among the {len(ids)}", "told": named, "good": bool(named) and ids.issuperset(named), "open": False}
        yield {"detector": detector, "wanted": wanted, "said": state, "text": finding["text"], "parameters": checked}


def verdict(answer):
    """right, wrong or open"""
    said, wanted = answer["said"], answer["wanted"]
    if wanted == "trap":
        return "wrong" if said == "present" else "right"
    if wanted == "veiled":
        return "wrong" if said == "absent" else "right"
    if said in ("inconclusive", "not-applicable", "nothing"):
        return "right" if wanted == "open" else "open"
    return "right" if said == wanted else "wrong"


def wilson(good, n):
    if n == 0:
        return 0.0, 1.0
    z = 1.959963984540054
    p = good / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def share(good, n):
    if n == 0:
        return "-"
    low, high = wilson(good, n)
    return f"{good}/{n} [{low:.2f}, {high:.2f}]"


# Shares at most, of the answers that were decided and of those on cells whose truth is clear. Every parameter that is told must
# be within its tolerance, and no trap may be called present.
MOST_WRONG, MOST_OPEN = 0.02, 0.10
BARS = f"wrong when decided at most {MOST_WRONG * 100:.0f} %, open on clean cells at most {MOST_OPEN * 100:.0f} %, each parameter within its tolerance, no trap called present"


class Measured:
    """The answers of one detector, counted."""

    def __init__(self, answers):
        of = lambda keep: [answer for answer in answers if keep(answer)]
        self.answers = answers
        self.present = of(lambda a: a["wanted"] == "present")
        self.not_present = of(lambda a: a["wanted"] in ("absent", "trap", "open"))
        self.clean = of(lambda a: a["wanted"] in ("present", "absent"))
        self.open = [a for a in self.clean if verdict(a) == "open"]
        self.decided = of(lambda a: verdict(a) != "open" and a["said"] in ("present", "absent"))
        self.wrong = [a for a in self.decided if verdict(a) == "wrong"]
        self.trapped = of(lambda a: a["wanted"] in ("trap", "open") and a["said"] == "present")
        self.parameters = [p for a in answers for p in a["parameters"].values() if a["said"] == a["wanted"] and not p["open"]]
        self.off = [p for p in self.parameters if not p["good"]]

    def missed(self):
        """The bars that it misses, in words; none if it meets all."""
        missed = []
        if len(self.wrong) > MOST_WRONG * len(self.decided) + 1e-9:
            missed.append(f"wrong {len(self.wrong)} of {len(self.decided)}")
        if len(self.open) > MOST_OPEN * len(self.clean) + 1e-9:
            missed.append(f"open {len(self.open)} of {len(self.clean)}")
        if self.off:
            missed.append(f"parameters off {len(self.off)} of {len(self.parameters)}")
        if self.trapped:
            missed.append(f"traps called present {len(self.trapped)}")
        return missed


def measured(results):
    """What each detector answered, by its name."""
    by = {}
    for result in results:
        for answer in result.get("answers", []):
            by.setdefault(answer["detector"], []).append(answer)
    return {detector: Measured(by[detector]) for detector in sorted(by)}


def table(results):
    lines = [
        "| detector | runs | sensitivity | specificity | wrong when decided | open on clean cells | parameters within tolerance | median error | bars |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for detector, seen in measured(results).items():
        errors = [abs(p["told"] - p["true"]) / p["true"] for p in seen.parameters if isinstance(p["true"], (int, float)) and p["true"]]
        error = f"{statistics.median(errors) * 100:.1f} %" if errors else "-"
        missed = ", ".join(seen.missed())
        lines.append(
            f"| {detector} | {len(seen.answers)} | {share(sum(a['said'] == 'present' for a in seen.present), len(seen.present))} "
            f"| {share(sum(a['said'] != 'present' for a in seen.not_present), len(seen.not_present))} "
            f"| {share(len(seen.wrong), len(seen.decided))} "
            f"| {share(len(seen.open), len(seen.clean))} "
            f"| {share(len(seen.parameters) - len(seen.off), len(seen.parameters))} | {error} "
            f"| {f'**missed**: {missed}' if missed else 'met'} |"
        )
    return "\n".join(lines)


def bars(results):
    """Which detectors meet every bar, in a sentence."""
    all_of_them = measured(results)
    missing = [detector for detector, seen in all_of_them.items() if seen.missed()]
    tail = f"; {', '.join(missing)} {'does' if len(missing) == 1 else 'do'} not" if missing else ""
    return f"Bars: {BARS}. {len(all_of_them) - len(missing)} of {len(all_of_them)} detectors meet all of them{tail}."


def cell_table(results):
    by = {}
    for result in results:
        by.setdefault(result["cell"], []).append(result)
    lines = ["| cell | caller | runs | right | open | wrong |", "|---|---|---|---|---|---|"]
    for cell in sorted(by):
        all_answers = [answer for result in by[cell] for answer in result.get("answers", [])]
        library = next((result.get("library") for result in by[cell] if result.get("library")), None)
        count = lambda what: sum(verdict(answer) == what for answer in all_answers)
        skipped = next((result["skipped"] for result in by[cell] if "skipped" in result), None)
        runs = sum("answers" in result for result in by[cell])
        lines.append(f"| {cell} | {library or 'own loop'}{f' (skipped: {skipped})' if skipped else ''} | {runs} | {count('right')} | {count('open')} | {count('wrong')} |")
    return "\n".join(lines)


# Seeds of each cell below which one answer decides a bar.
FEWEST_RUNS = 3


def left_open(results):
    """Answers that say nothing where the truth is clear, in runs that were not sent late: those have no excuse."""
    for result in results:
        for answer in result.get("answers", []):
            if verdict(answer) == "open" and not result.get("late", False):
                yield result, answer


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--murphy", required=True)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--jobs", type=int, default=4)
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--again", type=int, default=0, help="make a run that left something open, and whose requests were sent late, again so often, alone; with --smoke also one that was not late, first with its own seed, then with those behind it")
    parser.add_argument("--keep", action="store_true", help="keep the directories of all runs")
    parser.add_argument("--results", help="append one JSON line a run to this file")
    parser.add_argument("--table", help="write the tables into this file, between its markers")
    parser.add_argument("--from-results", action="store_true", help="run nothing, read --results")
    args = parser.parse_args()
    if args.from_results and not args.results:
        parser.error("--from-results needs --results")
    if args.again and args.results:
        parser.error("--again puts a run in the place of another; --results keeps what came first")
    if args.from_results:
        with open(args.results) as file:
            results = [json.loads(line) for line in file]
    else:
        results = carry_out(args)
    bad = False
    for result in results:
        for answer in result.get("answers", []):
            wrong = verdict(answer) == "wrong"
            off = [f"{name}: {p['told']} is not {p['true']}" for name, p in answer["parameters"].items() if answer["said"] == answer["wanted"] and not p["good"] and not p["open"]]
            bad |= wrong
            if wrong or off:
                print(f"{'WRONG' if wrong else 'off'} {result['cell']}/{result['seed']} {answer['detector']}: wanted {answer['wanted']}, said {answer['said']} ({answer['text']}) {'; '.join(off)}")
    whole = args.from_results or not (args.smoke or args.only) and args.runs >= FEWEST_RUNS
    bad |= whole and any(seen.missed() for seen in measured(results).values())
    if args.smoke:
        for result, answer in left_open(results):
            print(f"OPEN {result['cell']}/{result['seed']} {answer['detector']}: wanted {answer['wanted']}, said {answer['said']} ({answer['text']}); gates that fail: {'; '.join(result.get('gates', [])) or 'none'}")
            bad = True
    print(table(results))
    print()
    print(bars(results))
    print()
    print(cell_table(results))
    if args.table:
        write(args.table, results)
    errors = [result for result in results if "error" in result]
    for result in errors:
        print(f"error {result['cell']}/{result['seed']}: {result['error']}", file=sys.stderr)
    sys.exit(3 if errors else 1 if bad else 0)


def carry_out(args):
    names = [name for name in (SMOKE if args.smoke else CELLS) if not args.only or any(name.startswith(only) for only in args.only)]
    seeds = range(args.first, args.first + (1 if args.smoke else args.runs))
    murphy = os.path.abspath(args.murphy)
    jobs = [(name, seed, murphy, args.keep) for seed in seeds for name in names]
    results = []
    log = open(args.results, "a") if args.results else None
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        waiting = [pool.submit(run, job) for job in jobs]
        for number, done in enumerate(concurrent.futures.as_completed(waiting), 1):
            result = done.result()
            results.append(result)
            said = ", ".join(f"{a['detector']} {a['said']} ({verdict(a)})" for a in result.get("answers", []))
            said = said or f"skipped: {result['skipped']}" if "skipped" in result else said or "error"
            print(f"[{number}/{len(jobs)} {time.monotonic() - began:.0f}s] {result['cell']}/{result['seed']}: {said}", file=sys.stderr)
            if log:
                log.write(json.dumps(result) + "\n")
                log.flush()
    # It proves nothing either way; with the machine for itself it may.
    for index, result in enumerate(results):
        for time_again in range(args.again if proves_nothing(result, args.smoke) else 0):
            # In the smoke, a draw of the cell that is too near to a bound for this machine must not be all that is seen of the detector.
            seed = result["seed"] + (time_again if args.smoke else 0)
            print(f"again, for it left something open: {result['cell']}/{seed}", file=sys.stderr)
            results[index] = run((result["cell"], seed, murphy, args.keep))
            if not proves_nothing(results[index], args.smoke):
                break
    return sorted(results, key=lambda result: (result["cell"], result["seed"]))


def proves_nothing(result, smoke):
    """True if something was left open and this machine sent the requests late; in the smoke, whose runs stand beside too many others
    and must all decide, also where it did not. What is wrong is wrong, however late."""
    verdicts = [verdict(answer) for answer in result.get("answers", [])]
    return (smoke or result.get("late", False)) and "open" in verdicts and "wrong" not in verdicts


BEGIN, END = "<!-- score -->", "<!-- /score -->"


def write(path, results):
    with open(path) as file:
        text = file.read()
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    runs = sum("answers" in result for result in results)
    late = sum(result.get("late", False) for result in results)
    library = {result["cell"]: result["library"] for result in results if "answers" in result}
    real = sum(one is not None for one in library.values())
    cells = f"{len(library)} cells, {real} of them real libraries and servers ({100 * real / max(len(library), 1):.0f} %)."
    told = f"{runs} runs, {late} of them on a machine so busy that requests were sent late (p99 beyond 10 ms)."
    body = f"{BEGIN}\n{cells} {told}\n\n{table(results)}\n\n{bars(results)}\n\n{cell_table(results)}\n{END}"
    with open(path, "w") as file:
        file.write(before + body + after)


if __name__ == "__main__":
    main()
