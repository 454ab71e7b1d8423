"""What a command leaves on disk, without times and the names of its workers: two runs of it must leave the same."""
import hashlib
import json
import os
import re

PASSING = {"train_seconds", "samples_per_second", "epoch_seconds", "run_dir", "seconds"}


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def lasting(value):
    """A JSON value without what passes."""
    if isinstance(value, dict):
        return {key: lasting(v) for key, v in value.items() if key not in PASSING}
    if isinstance(value, list):
        return [lasting(v) for v in value]
    return value


def lines(path):
    with open(path) as file:
        return [json.loads(line) for line in file]


def whole_lines(path):
    """The records of a file that may end in the middle of a line, because its writer was killed or is at work."""
    with open(path) as file:
        return [json.loads(line) for line in file if line.endswith("\n")]


def run(folder):
    """The files of a run's folder."""
    with open(folder + "/summary.json") as file:
        summary = lasting(json.load(file))
    with open(folder + "/config.toml") as file:
        config = file.read()
    metrics = [lasting(record) for record in lines(folder + "/metrics.jsonl")]
    return {"summary": summary, "config": config, "metrics": metrics, "model": digest(folder + "/model.safetensors")}


def journal(records):
    """The trials of a study file that have a result, by study, point and seeds. Each counts once."""
    studies, trials = [], []
    for record in records:
        code = record["op_code"]
        if code == 0:
            studies.append(record["study_name"])
        elif code == 4:
            record.setdefault("user_attrs", {})
            record["study"] = studies[record["study_id"]]
            record["reports"] = {}
            trials.append(record)
        elif code == 5:
            trials[record["trial_id"]]["params"][record["param_name"]] = record["param_value_internal"]
        elif code == 6:
            trials[record["trial_id"]].update(state=record["state"], values=record["values"])
        elif code == 7:
            trials[record["trial_id"]]["reports"][record["step"]] = record["intermediate_value"]
        elif code == 8:
            trials[record["trial_id"]]["user_attrs"].update(record["user_attr"])
    ended = {}
    for trial in trials:
        if trial["state"] in (1, 2):
            key = json.dumps([trial["study"], trial["params"], trial["user_attrs"].get("seeds")], sort_keys=True)
            assert key not in ended, "done twice: " + key
            ended[key] = (trial["state"], trial["values"], trial["reports"], lasting(trial["user_attrs"]))
    return ended


def report_file(path):
    """A page or a figure, without times and without the numbers of trials: each attempt at a trial has its own."""
    with open(path) as file:
        text = file.read()
    if path.endswith(".html"):
        text = re.sub("<svg.*?</svg>|, [0-9]+ broken off and done again", "", text, flags=re.DOTALL)
        text = re.sub("<tr><td>[0-9]+</td>", "<tr>", text)
        return re.sub(r"[0-9.]+ ?(s|min|h)\b", "TIME", text)
    if os.path.basename(path).startswith("search-"):
        if path.endswith(".svg"):
            return "drawn over the numbers of trials"
        if text.startswith("trial,"):
            return [line.split(",", 1)[1] for line in text.splitlines()]
    return text


def everything(folder):
    """All that a command has left below a folder. Complains about temporary files."""
    found = {}
    for parent, folders, files in os.walk(folder):
        place = os.path.relpath(parent, folder)
        if parent.endswith(".alive"):
            continue
        if "config.toml" in files:
            found[place] = run(parent)
            files = [name for name in files if not name.endswith((".toml", ".json", ".jsonl")) and name != "checkpoint.safetensors"]
        for name in files:
            path = os.path.join(parent, name)
            assert not name.endswith(".tmp"), "left over: " + path
            if name.endswith(".journal"):
                found[os.path.join(place, name)] = journal(lines(path))
            elif name == "folds.json":
                with open(path) as file:
                    found[os.path.join(place, name)] = lasting(json.load(file))
            elif name.endswith((".html", ".csv", ".svg")):
                found[os.path.join(place, name)] = report_file(path)
            else:
                found[os.path.join(place, name)] = digest(path)
    return found
