"""Configs: every mistake is one clear message, and what was meant is what is loaded."""

import json
from pathlib import Path

import pytest

import recsys
from recsys.config import RecommenderSpec, Study
from recsys.core.errors import ConfigError
from recsys.mitigations.build import make_recommender
from recsys.study.load import load_studies, load_study

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))

INFLUX = {"kind": "rednote_2025", "newcomers": 10}
WORLD = {"name": "small", "world": {"influx": INFLUX}, "recommenders": ["trending"]}
LOG = {
    "name": "own",
    "log": {"events": "events.csv", "users": "users.csv", "newcomers": "days < 50"},
    "recommenders": ["trending"],
    "seeds": 1,
}


def world(**parts):
    """A study of a world with some parts of the world set."""
    return {**WORLD, "world": {"influx": INFLUX, **parts}}


def recommenders(*entries):
    return {**WORLD, "recommenders": list(entries)}


def own(**changes):
    return {**LOG, "log": {**LOG["log"], **changes}}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        # unknown keys, at every depth
        ({**WORLD, "recomenders": []}, "recomenders: unknown key; did you mean 'recommenders'?"),
        (world(incumbants=5), "world.incumbants: unknown key; did you mean 'incumbents'?"),
        (
            world(platform={"kind": "rednote", "slots": {"personel": 1.0}}),
            "world.platform.slots.personel: unknown key; did you mean 'personal'? known: following",
        ),
        (
            world(influx={**INFLUX, "reversal": 3}),
            "world.influx.reversal: unknown key; did you mean 'reversal_day'",
        ),
        (
            {**LOG, "log": {**LOG["log"], "newcomer": "x"}},
            "log.newcomer: unknown key; did you mean 'newcomers'?",
        ),
        (
            recommenders({"kind": "als", "factor": 8}),
            "recommender als: factor: unknown key; did you mean 'factors'?",
        ),
        # missing
        ({"name": "x", "world": {"influx": INFLUX}}, "recommenders: is missing"),
        (world(influx={"kind": "rednote_2025"}), "world.influx.newcomers: is missing"),
        # wrong types
        ({**WORLD, "seeds": "2"}, "seeds: input should be a valid integer, but it is '2'"),
        ({**WORLD, "seeds": 2.5}, "seeds: input should be a valid integer"),
        ({**WORLD, "seeds": True}, "seeds: input should be a valid integer, but it is True"),
        ({**WORLD, "name": 5}, "name: input should be a valid string, but it is 5"),
        ({**WORLD, "world": 5}, "world: input should be an object, but it is 5"),
        ({**WORLD, "recommenders": "als"}, "recommenders: input should be a valid array"),
        ({**WORLD, "recommenders": [{"name": "x"}]}, "recommenders.0.kind"),
        (world(start="2025-13-01"), "world.start: input should be a valid date"),
        ({**WORLD, "evaluation": {"days": 3}}, "evaluation.days: input should be a valid array"),
        # values
        (world(incumbents=-5), "world.incumbents: input should be greater than or equal to 1"),
        (world(influx={**INFLUX, "newcomers": -1}), "world.influx.newcomers: input should be grea"),
        (
            world(influx={**INFLUX, "arrivals": [0, 0]}),
            "world.influx: arrivals must hold at least one positive number",
        ),
        (
            world(platform={"kind": "rednote", "slots": {"personal": 0.9}}),
            "world.platform.slots: the shares of slots must sum to 1, not 1.2",
        ),
        ({**WORLD, "evaluation": {"k": 0}}, "evaluation.k: input should be greater than or equal"),
        ({**WORLD, "evaluation": {"days": [6, 1]}}, "evaluation: days must be distinct and incr"),
        ({**WORLD, "evaluation": {"days": []}}, "evaluation: days must be distinct and increasing"),
        (
            {**WORLD, "evaluation": {"days": [1, 14]}},
            "evaluation.days: [14] lie outside the world, whose days run from 0 to 13",
        ),
        ({**WORLD, "evaluation": {"days": [-1, 1]}}, "evaluation.days: [-1] lie outside the world"),
        (
            {**world(incumbents=50), "evaluation": {"panel": 51}},
            "evaluation.panel: 51 is more than the 50 incumbents",
        ),
        ({**WORLD, "arms": ["control"]}, "arms must be distinct and hold control and influx"),
        ({**WORLD, "arms": ["control", "influx", "plcebo"]}, "arms.2: input should be 'control',"),
        ({**WORLD, "name": "a/b"}, "name: string should match pattern"),
        ({**WORLD, "name": ""}, "name: string should match pattern"),
        ({**WORLD, "name": "../up"}, "name: string should match pattern"),
        (recommenders(), "recommenders: tuple should have at least 1 item"),
        (recommenders({"kind": "als", "factors": 0}), "recommender als: factors: input should be"),
        (recommenders({"kind": "als", "regularization": float("nan")}), "regularization"),
        (recommenders("als", "als"), "two recommenders have the same name among ['als', 'als']"),
        # unknown kinds
        (
            recommenders("alss"),
            "recommenders: no kind 'alss'; did you mean 'als'? known: als, bpr",
        ),
        (world(influx={"kind": "rednote_2024"}), "world.influx: no kind 'rednote_2024'; did you"),
        (world(platform="rednot"), "world.platform: no kind 'rednot'; did you mean 'rednote'?"),
        # sources
        ({**WORLD, "log": LOG["log"]}, "give one source: either world or log"),
        ({"name": "x", "recommenders": ["als"]}, "give one source: either world or log"),
        ({**LOG, "seeds": 3}, "seeds: a log has one history, so seeds must be 1"),
        (
            {**LOG, "log": {**LOG["log"], "holdout_days": 1.0, "holdout_share": 0.1}},
            "log: holdout_days and holdout_share: give one of them, not both",
        ),
        (
            own(newcomers={"first_seen": {"form": "2025-01-13"}}),
            "form: unknown key; did you mean 'from'",
        ),
        (
            own(newcomers={"firstseen": {}}),
            "log.newcomers.firstseen: unknown key; did you mean 'first",
        ),
        (
            own(newcomers={"first_seen": {"from": "13.1.2025"}}),
            "log.newcomers.first_seen.from: input should be a valid date",
        ),
        (
            own(newcomers={"first_seen": {"from": "2025-01-13", "to": "2025-01-01"}}),
            "log.newcomers.first_seen: to: 2025-01-01 is before from, 2025-01-13",
        ),
        (own(newcomers=5), "log.newcomers: input should be an object, but it is 5"),
        (
            own(newcomers="auto", arrived="2025-01-13"),
            "log: arrived: newcomers by time have a date",
        ),
        (
            own(timezone="Mars/Olympus"),
            "log.timezone: no time zone 'Mars/Olympus'; give a name such",
        ),
        (own(weights={"like": "1"}), "log.weights.like: input should be a valid number"),
        # other people's recommenders
        (recommenders("nowhere.at_all:Model"), "cannot load 'nowhere.at_all:Model': No module nam"),
        (recommenders("json:Model"), "cannot load 'json:Model': module 'json' has no attribute"),
        (recommenders("json:JSONDecoder"), "'json:JSONDecoder' is no subclass of recsys.Recommend"),
        (recommenders("json:dumps"), "'json:dumps' is no subclass of recsys.Recommender"),
        (recommenders("recsys:Recommender"), "recsys:Recommender"),
        (recommenders(":Model"), ":Model"),
        (recommenders(".json:Model"), ".json:Model"),
    ],
)
def test_bad_configs(config, message):
    with pytest.raises(ConfigError) as caught:
        load_study(config)
    text = str(caught.value)
    assert text.startswith("config: ")
    assert message in text


def test_all_mistakes_are_listed_at_once():
    with pytest.raises(ConfigError) as caught:
        load_study({**world(incumbants=5), "seeds": 0})
    assert len(str(caught.value).splitlines()) == 2


def test_one_mistake_is_one_line():
    with pytest.raises(ConfigError) as caught:
        load_study(recommenders({"kind": 5, "name": "five"}))
    assert len(str(caught.value).splitlines()) == 1


# Files


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "study.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_a_file(file):
    study = load_study(
        file("""
name: small
world:
  influx: {kind: rednote_2025, newcomers: 10}
  posts: {quality_scale: 1e-3}
recommenders: [trending, {kind: als, factors: 8, regularization: 1e-3}]
""")
    )
    assert study.world.influx.newcomers == 10
    assert study.world.posts.quality_scale == 1e-3
    assert study.recommenders[1].options["regularization"] == 1e-3
    assert study == load_study(
        {
            **world(posts={"quality_scale": 1e-3}),
            "recommenders": ["trending", {"kind": "als", "factors": 8, "regularization": 1e-3}],
        }
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: [unclosed", "cannot be read as YAML"),
        ("name: x\n\tworld: 1", "cannot be read as YAML"),
        ("name: x\nname: y", "cannot be read as YAML"),
        ("name: ${", "name: string should match pattern"),
        ("- a\n- b", "study.yaml: "),
        ("just words", "study.yaml: "),
        ("5", "must hold keys and values, not a int"),
        ("", "name: is missing"),
    ],
)
def test_bad_files(file, text, message):
    path = file(text)
    with pytest.raises(ConfigError) as caught:
        load_study(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)


def test_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_bytes(bytes(range(256)))
    with pytest.raises(ConfigError, match="cannot be read as YAML"):
        load_study(path)


@pytest.mark.parametrize("name", ["nowhere.yaml", "."])
def test_missing_file(tmp_path, name):
    with pytest.raises(ConfigError, match="there is no such file"):
        load_study(tmp_path / name)


def test_a_config_cannot_run_code(file, tmp_path):
    made = tmp_path / "made"
    with pytest.raises(ConfigError, match="cannot be read as YAML"):
        load_study(file(f"name: !!python/object/apply:pathlib.Path.touch [{made}]"))
    with pytest.raises(ConfigError):
        load_study(WORLD, [f"name=!!python/object/apply:os.mkdir [{made}]"])
    assert not made.exists()


def test_interpolation_is_off(file, monkeypatch):
    monkeypatch.setenv("SECRET", "hush")
    text = json.dumps({**LOG, "log": {**LOG["log"], "events": "${oc.env:SECRET}/${name}.csv"}})
    study = load_study(file(text))
    assert study.log.events == "${oc.env:SECRET}/${name}.csv"
    study = load_study(WORLD, ["tracking.experiment=${oc.env:SECRET}"])
    assert study.tracking.experiment == "${oc.env:SECRET}"


# Overrides


def test_overrides():
    study = load_study(
        WORLD,
        [
            "evaluation.k=10",
            "seeds=2",
            "world.influx.newcomers=7",
            "world.posts.quality_scale=1e-3",
            "evaluation.days=[0,2]",
            "recommenders=[random,{kind: als, factors: 4}]",
            "world.influx.reversal_day=null",
            "world.start=2025-02-01",
            "tracking.enabled=false",
        ],
    )
    assert study.evaluation.k == 10
    assert study.evaluation.days == (0, 2)
    assert list(study.seed_range()) == [0, 1]
    assert study.world.influx.newcomers == 7
    assert study.world.influx.reversal_day is None
    assert study.world.posts.quality_scale == 1e-3
    assert str(study.world.start) == "2025-02-01"
    assert [spec.name for spec in study.recommenders] == ["random", "als"]
    assert study.tracking.enabled is False
    assert WORLD["recommenders"] == ["trending"]  # the mapping is left as it was


def test_a_preset_and_then_a_value_of_it():
    study = load_study(WORLD, ["world.platform=tiktok", "world.platform.columns=3"])
    assert study.world.platform.kind == "tiktok"
    assert study.world.platform.columns == 3
    assert study.world.platform.drive.trend == 2.0  # of the preset


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("evaluation.k", "override 'evaluation.k' is not of the form key=value"),
        ("evaluation.kk=3", "evaluation.kk: unknown key; "),
        ("evaluation.k=ten", "evaluation.k: input should be a valid integer, but it is 'ten'"),
        ("evaluation.k=", "evaluation.k: input should be a valid integer"),
        ("evaluation.k=[1", "cannot be read as YAML"),
        ("name.first=x", "name: input should be a valid string"),
        ("recommenders.0.factors=3", "recommenders.0.factors: does not fit the value in the file"),
    ],
)
def test_bad_overrides(override, message):
    with pytest.raises(ConfigError) as caught:
        load_study(WORLD, [override])
    assert message in str(caught.value)


# What is loaded


def test_defaults_are_written_out():
    study = load_study(recommenders("als", {"kind": "als", "name": "wide", "factors": 128}))
    als, wide = study.recommenders
    assert set(als.options) == set(recsys.RECOMMENDERS["als"].model_fields)
    assert als.options["factors"] == recsys.RECOMMENDERS["als"]().factors
    assert (wide.kind, wide.name, wide.options["factors"]) == ("als", "wide", 128)
    assert study.world.influx.reversal_day == 8  # of the preset
    assert len(study.world.influx.arrivals) == 5


def test_what_a_preset_says_can_be_overridden():
    study = load_study(world(influx={**INFLUX, "reversal_day": 3}, platform="rednote"))
    assert study.world.influx.reversal_day == 3
    assert study.world.platform.kind == "rednote"


@pytest.mark.parametrize(
    "config",
    [
        WORLD,
        LOG,
        recommenders("als", "ease", "random"),
        own(newcomers="auto"),
        own(
            newcomers={"first_seen": {"from": "2025-01-13", "to": "2025-01-20"}},
            weights={"hide": -1},
            cancels={"like": "unlike"},
            timezone="Asia/Shanghai",
        ),
    ],
)
def test_a_resolved_study_survives_json(config):
    study = load_study(config)
    assert Study.model_validate_json(study.model_dump_json()) == study
    assert load_study(json.loads(study.model_dump_json())) == study


def test_a_study_is_frozen():
    with pytest.raises(ValueError, match="frozen"):
        load_study(WORLD).seeds = 5


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_configs_that_come_along(path):
    for study in load_studies(path):
        assert Study.model_validate_json(study.model_dump_json()) == study
    first = path.read_text(encoding="utf-8").split("\nname:")[0]
    assert first.startswith("#")
    assert "make run" in first or path.name in first


# Somebody else's recommender

PLUGIN = '''
from pydantic import Field

from recsys import Recommender
from recsys.recommenders import Trending


class Newest(Recommender):
    """Trending with a short memory."""

    hours: float = Field(default=6.0, gt=0)

    def fit(self, log, seed=0, previous=None):
        return Trending(half_life_days=self.hours / 24).fit(log, seed)


class Shopkeeper:
    """No recommender."""
'''


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    name = "somebodys_recommenders"
    (tmp_path / f"{name}.py").write_text(PLUGIN, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    return name


def test_somebody_elses_recommender(plugin):
    kind = f"{plugin}:Newest"
    study = load_study(recommenders(kind, {"kind": kind, "name": "slow", "hours": 48.0}))
    assert [spec.name for spec in study.recommenders] == [kind, "slow"]
    assert [spec.options for spec in study.recommenders] == [{"hours": 6.0}, {"hours": 48.0}]
    log = recsys.InteractionLog.from_frames({"user_id": [1, 2, 2], "item_id": [7, 7, 8]})
    model = make_recommender(study.recommenders[1]).fit(log)
    assert model.recommend([1], k=2)["item_id"].to_list() == [8]


def test_no_two_rows_of_the_results_have_one_name():
    """`als` under `cap` is shown as `als + cap`, which no recommender may be called too."""
    names = ["trending", {"kind": "random", "name": "trending + cap"}]
    with pytest.raises(ConfigError, match=r"would be called 'trending \+ cap': rename one part"):
        load_study({**WORLD, "recommenders": names, "mitigations": [["cap"]]})
    assert len(load_study({**WORLD, "recommenders": names}).recommenders) == 2


@pytest.mark.parametrize("key", ["recommenders", "mitigations"])
def test_what_is_not_trusted_is_not_loaded(tmp_path, monkeypatch, key):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / f"unread_{key}.py").write_text("raise SystemExit('it ran')")
    entry = {"kind": f"unread_{key}:Mine"}
    config = {**WORLD, key: [entry] if key == "recommenders" else [[entry]]}
    with pytest.raises(ConfigError, match=rf"{key}: kind 'unread_{key}:Mine' runs the code of the"):
        load_study(config, trust=False)
    with pytest.raises(ConfigError, match=rf"{key}: cannot load 'unread_{key}:Mine': it ran"):
        load_study(config)


def test_the_nearest_names_of_a_missing_class_are_told(plugin):
    with pytest.raises(ConfigError, match=r"has no attribute 'Newst'; did you mean 'Newest'\?"):
        load_study({**WORLD, "recommenders": [f"{plugin}:Newst"]})


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("Shopkeeper", "is no subclass of recsys.Recommender"),
        ("Absent", "has no attribute 'Absent'"),
    ],
)
def test_what_is_no_recommender(plugin, entry, message):
    with pytest.raises(ConfigError, match=message):
        load_study(recommenders(f"{plugin}:{entry}"))


def test_somebody_elses_options_are_checked(plugin):
    with pytest.raises(ConfigError, match="hour: unknown key; did you mean 'hours'"):
        load_study(recommenders({"kind": f"{plugin}:Newest", "hour": 2.0}))


def test_make_recommender_checks_its_options():
    spec = RecommenderSpec(kind="ease", name="mine", options={"regularization": -1.0})
    with pytest.raises(ConfigError, match="recommender mine: regularization: input should be grea"):
        make_recommender(spec)


# Mitigations


def chains(*entries, of=("als",)):
    return {**WORLD, "recommenders": list(of), "mitigations": list(entries)}


def test_chains_are_lists_names_or_parts_for_some():
    study = load_study(
        chains(
            "cap",
            ["anchor", {"kind": "cap", "share": 0.2, "name": "wide"}],
            [],
            {"parts": ["offset"], "only": ["trending"]},
            of=("als", "trending"),
        )
        | {
            "mitigations": [
                "cap",
                {
                    "parts": ["anchor", {"kind": "cap", "share": 0.2, "name": "wide"}],
                    "only": ["als"],
                },
                [],
                {"parts": ["offset"], "only": ["trending"]},
            ]
        }
    )
    names = {
        spec.name: [chain.name for chain in study.chains_for(spec.name)]
        for spec in study.recommenders
    }
    assert names == {"als": ["none", "cap", "anchor + wide"], "trending": ["none", "cap", "offset"]}
    anchor, wide = study.mitigations[1].parts
    assert anchor.options == {"mu": 100.0, "mu_users": 0.0}
    assert wide.options == {"share": 0.2, "everybody": False}


def test_chains_in_overrides():
    study = load_study(chains(), ["mitigations=[[cap],[anchor,cap]]"])
    assert [chain.name for chain in study.mitigations] == ["cap", "anchor + cap"]


def test_a_mitigation_of_ones_own():
    study = load_study(chains([{"kind": "recsys.mitigations.cap:Cap", "name": "mine"}]))
    assert study.mitigations[0].parts[0].options == {"share": 0.05, "everybody": False}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (chains("capp"), "mitigations: no kind 'capp'; did you mean 'cap'?"),
        (chains({"kind": "cap", "shar": 1}), "mitigation cap: shar: unknown key; did you mean"),
        (chains({"kind": "cap", "share": 2.0}), "mitigation cap: share: input should be less than"),
        (
            chains("recsys.study.load:load_study"),
            "is no subclass of recsys.Mitigation with a place",
        ),
        (chains("cap", "cap"), "two chains have the same name among ['cap', 'cap']"),
        (chains({"parts": ["cap"], "only": ["ease"]}), "cap is for 'ease', which is not run"),
        (chains(["cap", "offset"]), "als + cap + offset: Offset acts on scores and Cap on ranks"),
        (chains(["anchor", "frozen"]), "Anchor and Frozen both act on factors: leave one of them"),
        (chains("frozen", of=("bpr",)), "bpr + frozen: frozen changes the factors of als"),
        (chains("anchor", of=("lmf",)), "anchor changes the factors of als and cannot act on LMF"),
        (chains("downweight", of=("lmf",)), "what LMF learns is not in proportion to them"),
        (chains("warm_start", of=("ease",)), "EASE cannot start from an earlier model"),
        (chains("ensemble", of=("ease",)), "EASE does not use one: all its fits"),
        (chains("cap", of=("als", "oracle")), "oracle + cap: the oracle is the upper bound and"),
    ],
    ids=str,
)
def test_chains_that_cannot_be(config, message):
    with pytest.raises(ConfigError) as error:
        load_study(config)
    assert message in str(error.value)
