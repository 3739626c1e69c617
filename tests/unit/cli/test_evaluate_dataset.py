"""``unseen evaluate --dataset NAME --root DIR``: a rotation over a published data set."""

import json
from pathlib import Path

import numpy as np
import pytest

from unseen.cli import app
from unseen.data.datasets.cse_cic_ids2018 import DAYS

ATTACKS = {"neptune": ("private", 200.0), "satan": ("http", 90.0), "guess_passwd": ("telnet", 30.0)}
CSE_ATTACKS = {
    "2018-02-14": "SSH-Bruteforce",
    "2018-02-15": "DoS attacks-GoldenEye",
    "2018-02-16": "DoS attacks-Hulk",
    "2018-02-20": "DDoS attacks-LOIC-HTTP",
    "2018-02-21": "DDOS attack-HOIC",
    "2018-02-22": "Brute Force -Web",
    "2018-02-23": "DDOS attack-LOIC-UDP",
    "2018-02-28": "Infilteration",
    "2018-03-01": "FTP-BruteForce",
    "2018-03-02": "Bot",
}


def write_nsl(root: Path) -> Path:
    """Small files of 43 cells a row without header, as NSL-KDD has them."""
    generator = np.random.default_rng(0)

    def row(attack: str) -> str:
        service, level = ATTACKS.get(attack, ("http", 0.0))
        cells = [
            "0",
            "tcp",
            service,
            "SF",
            *(f"{value:.2f}" for value in generator.normal(level, 5, 37) ** 2),
        ]
        return ",".join([*cells, attack, "20"])

    for name, normals in (("KDDTrain+.txt", 120), ("KDDTest+.txt", 40)):
        rows = [row("normal") for _ in range(normals)]
        rows += [row(attack) for attack in ATTACKS for _ in range(12)]
        (root / name).write_text("\n".join(rows) + "\n", encoding="utf-8")
    return root


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        app(["evaluate", *arguments])
    return int(ended.value.code or 0)


def test_a_whole_rotation(tmp_path: Path) -> None:
    root = write_nsl(tmp_path)
    out = tmp_path / "results"
    options = ("--detectors", "mahalanobis", "--seeds", "1", "--shots", "4", "--jobs", "1")
    assert run("--dataset", "nsl-kdd", "--root", str(root), "--out", str(out), *options) == 0
    results = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert {row["held_out_kind"] for row in results["rows"]} == {"dos", "probe", "r2l"}
    assert results["dataset"]["name"] == "NSL-KDD"
    assert "Tavallaee" in results["dataset"]["citation"]
    assert (out / "report.html").stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give a FILE"),
        (("--dataset", "nsl-kdd"), "needs --root DIR"),
        (("--root", "."), "name the data set"),
        (("table.csv", "--dataset", "nsl-kdd", "--root", "."), "leave FILE"),
        (("--dataset", "nsl-kdd", "--root", ".", "--kind-column", "attack"), "column options out"),
        (("--dataset", "kdd99", "--root", "."), "one of 'nsl-kdd'"),
        (("--dataset", "nsl-kdd", "--root", "absent"), "is not a folder"),
    ],
)
def test_bad_use_is_one_line_and_exit_code_two(
    arguments: tuple[str, ...], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments, "--out", str(tmp_path / "out")) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_view_by_domain_needs_domains(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, out = write_nsl(tmp_path), str(tmp_path / "out")
    given = ("--dataset", "nsl-kdd", "--root", str(root), "--out", out, "--view", "residual-centre")
    assert run(*given) == 2
    assert "--view residual-centre" in capsys.readouterr().err


@pytest.mark.parametrize(("choice", "all_kinds"), [((), True), (("--new-domains",), False)])
def test_domains_of_a_data_set_are_mixed_unless_asked(
    tmp_path: Path, choice: tuple[str, ...], all_kinds: bool
) -> None:
    """Each day has an attack of its own: only a test over all days can rotate through all of them."""
    generator = np.random.default_rng(1)
    header = "Dst Port,Protocol,Timestamp,Flow Duration,Tot Fwd Pkts,Label"
    for day, starts in DAYS.items():
        attack = CSE_ATTACKS[day]
        rows = [f"80,6,{day},{a:.3f},{b:.3f},Benign" for a, b in generator.normal(5, 1, (40, 2))]
        rows += [f"80,6,{day},{a:.3f},{b:.3f},{attack}" for a, b in generator.normal(9, 1, (12, 2))]
        file = tmp_path / f"{starts[0]}_TrafficForML_CICFlowMeter.csv"
        file.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    out = tmp_path / "results"
    given = ("--dataset", "cse-cic-ids2018", "--root", str(tmp_path), "--out", str(out), *choice)
    assert run(*given, "--detectors", "mahalanobis", "--seeds", "1", "--shots", "2", "--jobs", "1") == 0
    results = json.loads((out / "results.json").read_text(encoding="utf-8"))
    held_out = {row["held_out_kind"] for row in results["rows"]}
    assert (len(held_out) == len(CSE_ATTACKS)) is all_kinds
