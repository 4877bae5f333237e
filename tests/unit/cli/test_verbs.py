"""The verbs: what they print where, and the exit status that each outcome has."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from eosc.cli import eosc

ROOT = Path(__file__).resolve().parents[3]
GLA = ROOT / "examples" / "gating" / "gla.eos"
LCSM = ROOT / "examples" / "lcsm" / "lcsm.eos"

BAD = """mixer x:
    axes K, V
    shrink q[t]: K
    input v[t]: V
    expand k[t]: K
    memory m: K, V

    m[t] = m[t-1] + k[t] * v[t]
    output y[t]: V = q[t] * m[t]
"""


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(eosc, [str(each) for each in arguments])


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    path = tmp_path / "bad.eos"
    path.write_text(BAD)
    return path


# status ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["check", GLA], 0),
        (["check", "BAD"], 1),
        (["check", "nowhere.eos"], 2),
        (["check"], 2),
        (["check", GLA, "BAD"], 1),
        (["fmt", "--check", GLA], 0),
        (["explain", GLA], 0),
        (["explain", "E023"], 0),
        (["explain", "e023"], 0),
        (["explain", "E998"], 2),
        (["explain", "BAD"], 1),
        (["explain", f"{GLA}:nosuch"], 2),
        (["explain", f"{GLA}:gla(osc=one)"], 2),
        (["explain", f"{LCSM}:lcsm(osc=k_dep)"], 0),
        (["explain", f"{LCSM}:lcsm(osc=nosuch)"], 1),
        (["explain", f"{LCSM}:lcsm(nosuch=one)"], 1),
        (["explain", f"{LCSM}:lcsm(osc)"], 2),
        (["explain", GLA, "--shape", "K=0"], 2),
        (["explain", GLA, "--shape", "K=-1"], 2),
        (["explain", GLA, "--shape", "K"], 2),
        (["explain", GLA, "--shape", "K=99999999999999999999"], 2),
        (["graph", GLA, "--format", "nosuch"], 2),
        (["graph", "BAD"], 1),
        (["dump", GLA, "--after", "nosuch"], 2),
        (["dump", GLA, "--after", "parse"], 0),
        (["nosuch"], 2),
        (["doctor"], 0),
        (["--version"], 0),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else str(value),
)
def test_status(arguments: list[str | Path], status: int, bad: Path) -> None:
    result = run(*(bad if each == "BAD" else each for each in arguments))
    assert result.exit_code == status, result.output
    assert "Traceback" not in result.output


def test_an_internal_error_has_a_report_and_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("the secret middle")

    monkeypatch.setattr("eosc.api.mixers", fail)
    result = run("explain", GLA)
    assert result.exit_code == 4
    assert "Traceback" not in result.output
    place = result.stderr.split("report it with the file ")[1].strip()
    report = Path(place)
    try:
        assert "ZeroDivisionError: the secret middle" in report.read_text()
    finally:
        report.unlink()


def test_a_closed_pipe_is_no_error() -> None:
    done = subprocess.run(
        f"{sys.executable} -m eosc dump examples --after extract | head -1",
        shell=True, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.stderr == ""


# check -------------------------------------------------------------------------------------------


def test_check_prints_findings_with_their_lines(bad: Path) -> None:
    result = run("check", bad)
    assert f"{bad}:9:22: error[E023]: y has axes {{V}}" in result.stdout
    assert "q[t] * m[t]" in result.stdout
    assert "hint: " in result.stdout
    assert result.stderr == "1 file: 1 error, 0 warnings\n"


def test_check_as_json(bad: Path) -> None:
    result = run("check", bad, GLA, "--json")
    data = json.loads(result.stdout)
    assert result.exit_code == 1
    assert data["summary"] == {"files": 2, "errors": 1, "warnings": 0}
    (finding,) = data["diagnostics"]
    assert list(finding) == ["file", "line", "column", "code", "severity", "message", "hint"]
    assert finding["file"] == str(bad)
    assert (finding["line"], finding["column"], finding["code"]) == (9, 22, "E023")
    assert result.stderr == ""


def test_check_takes_folders_and_counts_files_once(bad: Path) -> None:
    (bad.parent / "sub").mkdir()
    (bad.parent / "sub" / "good.eos").write_text(GLA.read_text())
    result = run("check", bad.parent, bad, "--json")
    assert json.loads(result.stdout)["summary"] == {"files": 2, "errors": 1, "warnings": 0}


def test_check_of_an_empty_folder_is_misuse(tmp_path: Path) -> None:
    result = run("check", tmp_path)
    assert result.exit_code == 2
    assert "holds no .eos file" in result.stderr


def test_strict_counts_warnings(tmp_path: Path) -> None:
    path = tmp_path / "unused.eos"
    fine = BAD.replace("q[t] * m[t]", "sum[K](q[t] * m[t])")
    path.write_text(fine.replace("    memory", "    arg z[t]\n    memory"))
    result = run("check", path)
    assert result.exit_code == 0
    assert "warning[W070]" in result.stdout
    assert run("check", path, "--strict").exit_code == 1


# the zoo -----------------------------------------------------------------------------------------


def test_the_zoo_checks_clean() -> None:
    data = json.loads(run("check", ROOT / "examples", "--json").stdout)
    assert data["summary"]["errors"] == 0
    assert data["summary"]["files"] >= 58


# new, fmt ----------------------------------------------------------------------------------------


def test_new_writes_a_starter_that_checks_and_is_formatted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("new", "mine").exit_code == 0
    assert run("check", "mine.eos", "--strict").exit_code == 0
    assert run("fmt", "--check", "mine.eos").exit_code == 0
    assert "#" in Path("mine.eos").read_text()
    (mixer,) = json.loads(run("explain", "mine.eos", "--json").stdout)["mixers"]
    assert mixer["structure"][0]["structure"] == "diag{K}"


def test_new_keeps_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.eos").write_text("precious")
    assert run("new", "mine").exit_code == 1
    assert Path("mine.eos").read_text() == "precious"
    assert run("new", "mine", "--force").exit_code == 0
    assert Path("mine.eos").read_text() != "precious"


@pytest.mark.parametrize("name", ["two words", "a;b", "9x", "memory", "exp", "t"])
def test_new_refuses_names_that_no_mixer_can_have(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("new", name).exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_fmt_formats_in_place_once(tmp_path: Path) -> None:
    path = tmp_path / "gla.eos"
    path.write_text(GLA.read_text().replace("axes K, V", "axes K,V"))
    assert run("fmt", "--check", path).exit_code == 1
    assert "axes K,V" in path.read_text()
    assert run("fmt", path).exit_code == 0
    assert path.read_text() == GLA.read_text()
    assert run("fmt", "--check", path).exit_code == 0
    assert [each.name for each in tmp_path.iterdir()] == ["gla.eos"]


def test_fmt_leaves_a_broken_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "broken.eos"
    path.write_text("mixer x:\n    axes K,,V\n")
    result = run("fmt", path)
    assert result.exit_code == 1
    assert "E000" in result.stderr
    assert path.read_text() == "mixer x:\n    axes K,,V\n"


# explain, graph, dump ----------------------------------------------------------------------------


def test_explain_as_json_has_the_row_of_the_paper() -> None:
    (mixer,) = json.loads(run("explain", GLA, "--json").stdout)["mixers"]
    (row,) = mixer["eos"]
    assert row == {
        "memory": "m", "input": "v[t]", "expand": "k[t]", "oscillation": "a[t]",
        "shrink": "q[t]", "axes": "K×V", "product": "⊙", "dependence": "y/y/y",
    }  # fmt: skip
    (state,) = mixer["states"]
    assert (state["layout"], state["bytes"]) == ("[N, H, K, V]", 4 * 4 * 16 * 128 * 128)
    names = [each["passed"].split()[0] for each in mixer["operands"]]
    assert names == ["q", "k", "v", "log_a"]


def test_explain_follows_the_shape() -> None:
    def bytes_at(shape: str) -> int:
        (mixer,) = json.loads(run("explain", GLA, "--json", "--shape", shape).stdout)["mixers"]
        return int(mixer["least_bytes"][0]["bytes"])

    token_heads = 2 * 100 * 3
    assert bytes_at("B=2,T=100,H=3,K=8,V=4") == token_heads * (
        2 * 8 + 2 * 8 + 2 * 4 + 4 * 8 + 2 * 4
    )


@pytest.mark.parametrize("kind", ["mermaid", "dot", "svg", "json", "html"])
def test_graph_writes_each_format(kind: str, tmp_path: Path) -> None:
    shown = run("graph", GLA, "--format", kind)
    written = run("graph", GLA, "--format", kind, "-o", tmp_path / "out")
    assert (shown.exit_code, written.exit_code) == (0, 0)
    assert (tmp_path / "out").read_text() == shown.stdout
    assert "oscillation" in shown.stdout


def test_graph_of_a_folder_goes_to_a_folder(tmp_path: Path) -> None:
    assert run("graph", GLA.parent, "--format", "svg", "-o", tmp_path).exit_code == 0
    assert "gla.svg" in {each.name for each in tmp_path.iterdir()}


@pytest.mark.parametrize("stage", ["parse", "elaborate", "graph", "extract"])
def test_dump_after_each_stage(stage: str) -> None:
    text = run("dump", GLA, "--after", stage)
    assert text.exit_code == 0
    assert "gla" in text.stdout
    assert json.loads(run("dump", GLA, "--after", stage, "--json").stdout)


# build -------------------------------------------------------------------------------------------


def test_build_writes_a_folder_and_check_compares_it(tmp_path: Path) -> None:
    assert run("build", GLA, "-o", tmp_path).exit_code == 0
    assert (tmp_path / "gla" / "manifest.json").is_file()
    assert run("build", GLA, "-o", tmp_path, "--check").exit_code == 0
    with (tmp_path / "gla" / "op.py").open("a") as file:
        file.write("# drift")
    (tmp_path / "gla" / "stray.py").write_text("")
    result = run("build", GLA, "-o", tmp_path, "--check", "--json")
    assert result.exit_code == 1
    (row,) = json.loads(result.stdout)["checked"]
    assert row["differences"] == ["gla/op.py: differs", "gla/stray.py: not generated"]


def test_build_replaces_no_folder_that_is_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "gla").mkdir()
    (tmp_path / "gla" / "precious.txt").write_text("precious")
    assert run("build", GLA, "-o", tmp_path).exit_code == 1
    assert (tmp_path / "gla" / "precious.txt").read_text() == "precious"


def test_build_of_a_broken_file_writes_nothing(bad: Path) -> None:
    out = bad.parent / "out"
    assert run("build", bad, "-o", out).exit_code == 1
    assert not out.exists()


def test_build_says_that_a_layer_of_its_own_is_not_built(tmp_path: Path) -> None:
    result = run("build", ROOT / "examples" / "blocks" / "gss.eos", "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "error[E091]" in result.stderr and "gss.eos has no mixer" in result.stderr
    assert not (tmp_path / "out").exists()


def test_build_warns_where_a_structure_has_no_fast_lowering(tmp_path: Path) -> None:
    spec = ROOT / "examples" / "delta" / "ttt_linear.eos"
    result = run("build", spec, "-o", tmp_path)
    assert result.exit_code == 0
    assert "warning[W090]" in result.stderr
    (row,) = json.loads(run("build", spec, "-o", tmp_path, "--json").stdout)["built"]
    assert row["warning"]["code"] == "W090"
    asked = run("build", spec, "-o", tmp_path, "--backend", "triton")
    assert asked.exit_code == 1
    assert "E090" in asked.stderr


def test_build_names_instances_by_their_choices(tmp_path: Path) -> None:
    assert run("build", f"{LCSM}:lcsm(osc=one, act=silu)", "-o", tmp_path).exit_code == 0
    assert [each.name for each in tmp_path.iterdir()] == ["lcsm__osc_one__act_silu"]


# start -------------------------------------------------------------------------------------------


def timed(*arguments: str) -> float:
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, check=True)
        best = min(best, time.perf_counter() - start)
    return best


def test_help_costs_little_more_than_click() -> None:
    assert timed("-m", "eosc", "--help") - timed("-c", "import click") < 0.15


@pytest.mark.parametrize(
    "verb", ["new", "check", "fmt", "explain", "graph", "build", "dump", "doctor"]
)
def test_help_of_each_verb_loads_nothing_heavy(verb: str) -> None:
    code = (
        "import sys; from eosc.cli import eosc; "
        f"eosc([{verb!r}, '--help'], standalone_mode=False); "
        "bad = {'torch', 'sympy', 'networkx', 'lark', 'rich'} & set(sys.modules); "
        "sys.exit(str(bad) if bad else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_no_torch_for_check_and_explain() -> None:
    code = (
        "import sys; from eosc.cli import eosc\n"
        f"for verb in (['check', {str(GLA)!r}], ['graph', {str(GLA)!r}]):\n"
        "    eosc(verb, standalone_mode=False)\n"
        "assert not {'torch', 'sympy', 'triton'} & set(sys.modules)"
    )
    environment = {**os.environ, "NO_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
