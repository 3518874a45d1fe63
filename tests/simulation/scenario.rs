//! A scenario by seed: what the versions of the chart are like, which objects there are, and what happens to them when.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};

pub use crate::versions::{Behaviour, TEMPLATE, Test};
use crate::{
    rng::Rng,
    world::{Name, name},
};

/// Something that happens.
#[derive(Debug, Clone)]
pub enum Event {
    /// A merge into the spec of an object.
    Spec(usize, Value),
    Annotate(usize, &'static str, String),
    Delete(usize),
    Create(usize),
    ConfigMap(u64),
    /// The values are gone until somebody makes them anew.
    NoConfigMap,
    Crash {
        down: Duration,
    },
    Restart,
    Upgrade {
        release: Name,
        version: String,
    },
    /// Somebody installs it, unless it is there.
    Install {
        release: Name,
        version: String,
        config: Value,
    },
    Rollback {
        release: Name,
    },
    Uninstall {
        release: Name,
    },
    /// Somebody changes an object of the chart.
    Meddle {
        release: Name,
        text: String,
    },
}

#[derive(Debug, Clone)]
pub struct Declared {
    pub name: Name,
    pub release: Name,
    pub spec: Value,
}

/// Everything about one seed that is decided beforehand.
#[derive(Debug, Clone)]
pub struct Settings {
    pub seed: u64,
    /// Every watch is late by that.
    pub lag: Duration,
    /// helm applies on the server: helm 4.
    pub fields_have_owners: bool,
    /// Of a thousand.
    pub request_faults: u64,
    pub watch_delays: u64,
    pub watch_breaks: u64,
    pub helm_faults: u64,
    /// How long something holds the first ConfigMap of a release that is deleted, if anything does.
    pub lingers: Option<Duration>,
    /// When what lies outside passes.
    pub heals: Duration,
    /// When nothing happens any more.
    pub quiet: Duration,
    pub behaviours: BTreeMap<String, Behaviour>,
    pub tests: BTreeMap<String, Test>,
    /// When a version gets into the repository, where it is not there from the beginning.
    pub published: BTreeMap<String, Duration>,
    pub objects: Vec<Declared>,
    pub events: Vec<(Duration, Event)>,
}

const NAMESPACE: &str = "meadow";

impl Settings {
    pub fn behaviour(&self, version: &str) -> Behaviour {
        self.behaviours.get(version).copied().unwrap_or(TEMPLATE)
    }

    pub fn test(&self, version: &str) -> Test {
        self.tests.get(version).copied().unwrap_or(Test::Absent)
    }

    pub fn generate(seed: u64, lag: Duration) -> Self {
        let mut rng = Rng::new(seed, 1);
        let rough = rng.range(0, 3);
        let behaviours = behaviours(&mut rng);
        let mut objects = objects(&mut rng);
        let mut events = events(&mut rng, &objects, &behaviours);
        adoptions(&mut Rng::new(seed, 5), &mut objects, &mut events);
        let last = events.last().map_or(Duration::ZERO, |(at, _)| *at);
        let quiet = last + Duration::from_secs(rng.range(1, 60));
        let published = inputs(&mut Rng::new(seed, 4), &mut objects, &mut events, last);
        let tests = tests(&mut Rng::new(seed, 5), &mut objects);
        meddlers(&mut Rng::new(seed, 6), &mut objects, &mut events, last);
        Self {
            seed,
            lag,
            fields_have_owners: true,
            request_faults: [0, 15, 60][usize::try_from(rough).unwrap_or(0)],
            watch_delays: *rng.pick(&[0, 200, 700]),
            watch_breaks: *rng.pick(&[0, 200, 600]),
            helm_faults: *rng.pick(&[0, 100, 350]),
            lingers: lingers(&mut Rng::new(seed, 6)),
            heals: quiet + Duration::from_secs(rng.range(0, 1200)),
            quiet,
            behaviours,
            tests,
            published,
            objects,
            events,
        }
    }
}

fn lingers(rng: &mut Rng) -> Option<Duration> {
    rng.per_mille(400).then(|| Duration::from_millis(rng.range(500, 60_000)))
}

fn behaviours(rng: &mut Rng) -> BTreeMap<String, Behaviour> {
    let mut all = BTreeMap::new();
    all.insert("1.0.0".to_owned(), Behaviour::Good { ready: rng.range(100, 20_000) });
    for minor in 1..6 {
        let behaviour = match rng.range(0, 16) {
            0..=4 => Behaviour::Good { ready: rng.range(100, 20_000) },
            5 => Behaviour::Hooks { ready: rng.range(100, 9000) },
            6 => Behaviour::Late { ready: rng.range(700_000, 900_000) },
            7 => Behaviour::Flapping { every: rng.range(500, 20_000), times: u32::try_from(rng.range(1, 4)).unwrap() },
            8 => Behaviour::Outside,
            9 => *rng.pick(&[Behaviour::Unschedulable, Behaviour::Registry]),
            10 => Behaviour::Never,
            11 => *rng.pick(&[Behaviour::NoImage, Behaviour::Crashing]),
            12 => Behaviour::Stuck { known: rng.range(1000, 30_000) },
            13 => TEMPLATE,
            14 => Behaviour::Invalid,
            _ => Behaviour::HookFails,
        };
        all.insert(format!("1.{minor}.0"), behaviour);
    }
    all
}

/// Of all objects alike: whether a revision was tested must not depend on which of its claimants deployed it.
fn tests(rng: &mut Rng, objects: &mut [Declared]) -> BTreeMap<String, Test> {
    if !rng.per_mille(350) {
        return BTreeMap::new();
    }
    let ignored = rng.per_mille(150);
    for object in objects {
        object.spec["test"] = json!({ "enabled": true, "ignoreFailures": ignored });
    }
    let test = |rng: &mut Rng| match rng.range(0, 10) {
        0..=3 => Test::Passes,
        4 => Test::Absent,
        5 | 6 => Test::Fails,
        7 | 8 => Test::FailsOnce,
        _ => Test::Hangs,
    };
    (0..6).map(|minor| (format!("1.{minor}.0"), test(rng))).collect()
}

fn objects(rng: &mut Rng) -> Vec<Declared> {
    let count = [1, 1, 1, 2, 2, 3][usize::try_from(rng.range(0, 6)).unwrap_or(0)];
    let contested = rng.per_mille(150);
    let declared = |number: usize, rng: &mut Rng| {
        let own = format!("unicorn-{number}");
        let release = if contested { "unicorn-0".to_owned() } else { own.clone() };
        let version = if rng.per_mille(700) { "1.0.0".to_owned() } else { format!("1.{}.0", rng.range(1, 6)) };
        let mut spec = json!({
            "releaseName": release, "releaseVersion": version, "chart": { "name": "unicorn" },
            "timeout": rng.pick(&["30s", "60s", "5m"]), "maxHistory": rng.range(2, 6),
            "upgrade": { "retries": rng.range(0, 3) },
        });
        if rng.per_mille(150) {
            spec["upgrade"]["onFailure"] = json!("Keep");
        }
        if rng.per_mille(150) {
            spec["install"] = json!({ "onFailure": "Uninstall" });
        }
        if rng.per_mille(150) {
            spec["deletionPolicy"] = json!("Orphan");
        }
        if rng.per_mille(300) {
            spec["valuesFrom"] = json!([{ "kind": "ConfigMap", "name": "look" }]);
        }
        Declared { name: name(NAMESPACE, &own), release: name(NAMESPACE, &release), spec }
    };
    (0..count).map(|number| declared(number, rng)).collect()
}

fn events(rng: &mut Rng, objects: &[Declared], behaviours: &BTreeMap<String, Behaviour>) -> Vec<(Duration, Event)> {
    let mut events = Vec::new();
    let mut at = Duration::from_millis(rng.range(0, 3000));
    for (number, _) in objects.iter().enumerate() {
        events.push((at, Event::Create(number)));
        at += Duration::from_millis(rng.range(0, 3000));
    }
    let versions: Vec<&String> = behaviours.keys().collect();
    let strangers = rng.per_mille(400);
    let crashes = rng.per_mille(600);
    for step in 0..rng.range(2, 11) {
        at += Duration::from_millis(match rng.range(0, 4) {
            0 => rng.range(0, 1500),
            1 => rng.range(1000, 15_000),
            2 => rng.range(10_000, 80_000),
            _ => rng.range(60_000, 400_000),
        });
        let object = usize::try_from(rng.range(0, objects.len() as u64)).unwrap_or(0);
        let release = objects[object].release.clone();
        let down = Duration::from_millis(rng.range(0, 30_000));
        let version = (*rng.pick(&versions)).clone();
        let event = match rng.range(0, 20) {
            6 => Event::Spec(object, json!({ "values": { "shade": rng.range(0, 5) } })),
            7 => Event::Spec(object, json!({ "suspend": rng.per_mille(500) })),
            8 => Event::Annotate(object, "helmrelease.dev/retry", format!("{step}")),
            9 => Event::Annotate(object, "helmrelease.dev/reconcile", format!("{step}")),
            10 if rng.per_mille(500) => Event::Delete(object),
            10 => Event::Create(object),
            11 => Event::ConfigMap(rng.range(0, 4)),
            12..=14 if crashes => Event::Crash { down },
            15 if crashes => Event::Restart,
            16 if strangers => Event::Upgrade { release, version },
            17 if strangers => Event::Rollback { release },
            18 if strangers => Event::Uninstall { release },
            _ => Event::Spec(object, json!({ "releaseVersion": version })),
        };
        events.push((at, event));
    }
    events
}

/// Inputs that come, go and move: ranges, versions that are published later, values that are missing for a while.
fn inputs(
    rng: &mut Rng,
    objects: &mut [Declared],
    events: &mut Vec<(Duration, Event)>,
    last: Duration,
) -> BTreeMap<String, Duration> {
    let moment = |rng: &mut Rng| last * u32::try_from(rng.range(0, 1000)).unwrap_or(0) / 1000;
    if rng.per_mille(300) {
        let specs = events.iter_mut().filter_map(|(_, event)| match event {
            Event::Spec(_, patch) => Some(patch),
            _ => None,
        });
        for spec in objects.iter_mut().map(|object| &mut object.spec).chain(specs) {
            if spec["releaseVersion"].is_string() && rng.per_mille(400) {
                spec["releaseVersion"] = json!(rng.pick(&["*", "1.x", "~1.2", ">=1.1.0 <1.4.0", "1.0 - 1.3"]));
                spec["interval"] = json!("5m");
            }
        }
    }
    let mut published = BTreeMap::new();
    for version in ["1.3.0", "1.4.0", "1.5.0"] {
        if rng.per_mille(150) {
            published.insert(version.to_owned(), moment(rng));
        }
    }
    if rng.per_mille(200) {
        for object in objects.iter_mut().filter(|object| object.spec["valuesFrom"].is_array()) {
            object.spec["valuesFrom"][0]["optional"] = json!(rng.per_mille(300));
        }
        for _ in 0..rng.range(1, 3) {
            let gone = if rng.per_mille(300) { Duration::ZERO } else { moment(rng) };
            events.push((gone, Event::NoConfigMap));
            if rng.per_mille(800) {
                events.push((gone + last.saturating_sub(gone) / 3, Event::ConfigMap(rng.range(0, 4))));
            }
        }
        events.sort_by_key(|(at, _)| *at);
    }
    published
}

/// People who change objects of charts, and objects that want to know of it.
fn meddlers(rng: &mut Rng, objects: &mut [Declared], events: &mut Vec<(Duration, Event)>, last: Duration) {
    if !rng.per_mille(350) {
        return;
    }
    // Of all objects alike: the next owner of a release looks for the same.
    let mode = if rng.per_mille(800) { "Correct" } else { "Warn" };
    for object in objects.iter_mut() {
        object.spec["driftDetection"] = json!({ "mode": mode });
    }
    for number in 0..rng.range(1, 7) {
        let at = last * u32::try_from(rng.range(0, 1000)).unwrap_or(0) / 1000;
        let release = rng.pick(objects).release.clone();
        events.push((at, Event::Meddle { release, text: format!("by hand {number}") }));
    }
    events.sort_by_key(|(at, _)| *at);
}

/// Objects that take over what others have made, and releases that were there first.
fn adoptions(rng: &mut Rng, objects: &mut [Declared], events: &mut Vec<(Duration, Event)>) {
    if !rng.per_mille(300) {
        return;
    }
    for object in objects.iter_mut() {
        if rng.per_mille(800) {
            object.spec["adopt"] = json!(rng.pick(&["Release", "ReleaseAndObjects"]));
        }
        if rng.per_mille(600) {
            let asked = object.spec["releaseVersion"].as_str().unwrap_or_default();
            let same = rng.per_mille(600) && asked.chars().all(|c| c.is_ascii_digit() || c == '.');
            let version = if same { asked.to_owned() } else { format!("1.{}.0", rng.range(0, 6)) };
            let config = if rng.per_mille(700) { json!({}) } else { json!({ "by": "hand" }) };
            events.push((Duration::ZERO, Event::Install { release: object.release.clone(), version, config }));
        }
    }
    // Most are there before the objects are.
    let ahead = Duration::from_secs(rng.range(0, 60));
    for (at, event) in events.iter_mut() {
        if !matches!(event, Event::Install { .. }) {
            *at += ahead;
        }
    }
    events.sort_by_key(|(at, _)| *at);
}
