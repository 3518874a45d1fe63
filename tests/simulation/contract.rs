//! The contract of helm, played by the simulated one: see tests/contract.

use std::{path::PathBuf, pin::pin, sync::Arc, time::Duration};

use futures::{
    FutureExt as _,
    future::{LocalBoxFuture, ready, select},
};
use helm_release_operator::{
    cluster::{Discovery, Requests},
    controller::RunsHelm,
    helm::{Auth, ClusterAccess},
    types::{Namespace, ReleaseKey, ReleaseName},
};
use serde_json::{Value, json};

use crate::{
    behaviours::{Deed, Flavour, Ground, Halt, Hand, Loss, Major, Moment, Part, Write, play, stories},
    helm::{Command, Given},
    records::{Phase, Record, TEST, history},
    runs::{SimulatedHelm, stranger},
    scenario::{Behaviour, Settings, TEMPLATE, Test},
    server,
    workloads::HELD,
    world::{Kind, Name, NoNamespace, World},
};

/// In simulated time; more than any run takes to any moment.
const MOMENT_MAX: Duration = Duration::from_secs(50);

/// What the simulated helm does otherwise than the real ones.
pub fn broken() -> Vec<String> {
    let all = [Major::Four, Major::Three].into_iter().flat_map(|major| stories(major).map(move |told| (major, told)));
    let differs = |(major, (name, acts))| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let played = runtime.block_on(async { play(&Simulated::new(major), name, acts).await });
        played.err().map(|why| format!("as helm {major:?}: {why}"))
    };
    all.filter_map(differs).collect()
}

/// One release in a world in which nothing goes wrong by chance.
struct Simulated {
    world: Arc<World>,
    helm: SimulatedHelm,
    access: ClusterAccess,
    requests: Requests,
    release: ReleaseKey,
}

const FLAVOURS: [(Flavour, Behaviour); 18] = [
    (Flavour::One, Behaviour::Good { ready: 100 }),
    (Flavour::Two, Behaviour::Good { ready: 100 }),
    (Flavour::Three, Behaviour::Good { ready: 100 }),
    (Flavour::Keeps, Behaviour::Keeps),
    (Flavour::Hooked, Behaviour::Hooks { ready: 100 }),
    (Flavour::HookFails, Behaviour::HookFails),
    (Flavour::HookHangs, Behaviour::HookHangs),
    (Flavour::NeverReady, Behaviour::Never),
    (Flavour::Invalid, Behaviour::Invalid),
    (Flavour::Unrendered, TEMPLATE),
    (Flavour::Unfit, Behaviour::Refused { words: "values don't meet the specifications of the schema(s)" }),
    (Flavour::Incompatible, Behaviour::Refused { words: "chart requires kubeVersion: <1.2.0" }),
    (Flavour::UnknownKind, Behaviour::Refused { words: "no matches for kind \"Unheard\"" }),
    (Flavour::TooLarge, Behaviour::Refused { words: "data: Too long: may not be more than 1048576 bytes" }),
    (Flavour::Tested, Behaviour::Good { ready: 100 }),
    (Flavour::TestFails, Behaviour::Good { ready: 100 }),
    (Flavour::TestHangs, Behaviour::Good { ready: 100 }),
    (Flavour::WayBackFails, Behaviour::WayBackFails),
];
const TESTS: [(Flavour, Test); 3] =
    [(Flavour::Tested, Test::Passes), (Flavour::TestFails, Test::Fails), (Flavour::TestHangs, Test::Hangs)];

impl Simulated {
    fn new(major: Major) -> Self {
        let settings = Settings {
            fields_have_owners: major == Major::Four,
            request_faults: 0,
            helm_faults: 0,
            behaviours: FLAVOURS.iter().map(|(flavour, behaviour)| (flavour.version().into(), *behaviour)).collect(),
            tests: TESTS.iter().map(|(flavour, test)| (flavour.version().into(), *test)).collect(),
            objects: Vec::new(),
            events: Vec::new(),
            ..Settings::generate(0, Duration::ZERO)
        };
        let world = World::new(settings, false);
        world.lock().disturbed = false;
        let access = ClusterAccess {
            server: "https://10.0.0.1:443".to_owned(),
            authority: None,
            tls_server_name: None,
            auth: Auth::None,
            proxy_url: None,
            insecure: false,
        };
        let release =
            ReleaseKey { namespace: Namespace::parse("meadow").unwrap(), name: ReleaseName::parse("unicorn").unwrap() };
        let requests = Requests::new(server::client(&world, 0), Arc::<Discovery>::default());
        let helm = SimulatedHelm { world: Arc::clone(&world), operator: 0 };
        Self { world, helm, access, requests, release }
    }

    fn name(&self) -> Name {
        (self.release.namespace.to_string(), self.release.name.to_string())
    }

    fn name_of(&self, part: Part) -> Name {
        (self.release.namespace.to_string(), format!("{}-{part:?}", self.release.name).to_lowercase())
    }

    fn change(&self, part: Part, change: impl FnOnce(&mut Value)) {
        self.world.change(Kind::ConfigMap, &self.name_of(part), change).unwrap();
    }

    fn is_at(&self, moment: Moment, revision: u32, flavour: Option<Flavour>) -> bool {
        let records = history(&self.world, &self.name());
        let newest = records.last();
        let begun = newest.is_some_and(|newest| {
            (newest.revision == revision && newest.is_pending()) || newest.status == "uninstalling"
        });
        let deployed = |records: &[Record]| records.iter().any(|record| record.status == "deployed");
        let removes = newest.is_some_and(|newest| newest.status == "uninstalling");
        // Nothing of it is there that does not go.
        let is_there = |object: &Value| object["metadata"]["deletionTimestamp"].is_null();
        let all_goes =
            || !self.world.get(Kind::ConfigMap, &self.name_of(Part::Page)).is_some_and(|page| is_there(&page));
        match moment {
            Moment::Before => self.world.lock().latest.loaded,
            Moment::Begun => begun,
            Moment::Hook => newest.is_some_and(|newest| {
                (begun && newest.hook == Some(Phase::Running)) || newest.test == Some(Phase::Running)
            }),
            Moment::Last if removes => records.len() == 1 && all_goes(),
            Moment::Waiting if removes => all_goes(),
            Moment::Waiting => {
                let object = self.world.get(Kind::Deployment, &self.name());
                let there = object.map(|object| object["spec"]["template"]["version"].clone());
                begun && there == flavour.map(|flavour| flavour.version().into())
            }
            Moment::Last => begun && !deployed(&records),
        }
    }
}

impl Ground for Simulated {
    fn helm(&self) -> &dyn RunsHelm {
        &self.helm
    }

    fn access(&self) -> &ClusterAccess {
        &self.access
    }

    fn requests(&self) -> &Requests {
        &self.requests
    }

    fn release(&self) -> &ReleaseKey {
        &self.release
    }

    fn chart(&self, flavour: Flavour) -> (PathBuf, Vec<u8>) {
        (format!("/store/unicorn-{}.tgz", flavour.version()).into(), b"{}".to_vec())
    }

    fn at(&self, moment: Moment, _: Halt, revision: u32, flavour: Option<Flavour>) -> LocalBoxFuture<'_, ()> {
        async move {
            let (mut records, mut objects) = (self.world.news(Kind::Secret), self.world.news(Kind::Deployment));
            let reached = async {
                while !self.is_at(moment, revision, flavour) {
                    let (records, objects) = (pin!(records.changed()), pin!(objects.changed()));
                    // How far helm has read is no news.
                    let _ = tokio::time::timeout(Duration::from_millis(1), select(records, objects)).await;
                }
            };
            tokio::time::timeout(MOMENT_MAX, reached).await.expect("helm gets to the moment");
        }
        .boxed_local()
    }

    fn breaks(&self, write: Write, loss: Loss, _: u32) {
        self.world.lock().broken = Some((write, loss));
    }

    fn signals(&self) {
        self.world.lock().latest.struck.cancel();
    }

    fn release_all(&self) {
        assert_eq!(self.world.lock().broken, None, "helm never makes the write that is to go wrong");
    }

    fn by_hand(&self, hand: Hand) -> LocalBoxFuture<'_, ()> {
        let command = match hand {
            Hand::Upgrade(flavour) => {
                Command::Upgrade { given: Given::by_hand(flavour.version().to_owned(), json!({})), history_max: 10 }
            }
            Hand::Rollback(to) => Command::Rollback { to, history_max: 10, force: false },
            Hand::Uninstall { keep_history } => Command::Uninstall { keep_history },
        };
        stranger(Arc::clone(&self.world), self.name(), command).boxed_local()
    }

    fn happens(&self, deed: Deed) -> LocalBoxFuture<'_, ()> {
        let (world, named) = (&self.world, |part| self.name_of(part));
        match deed {
            Deed::Makes(part) => {
                let made = json!({ "metadata": {}, "data": { "by": "somebody" } });
                world.create(Kind::ConfigMap, &named(part), made).unwrap();
            }
            Deed::Deletes(part) => world.remove(Kind::ConfigMap, &named(part)).unwrap(),
            Deed::Holds(part) => self.change(part, |object| {
                object["data"]["version"] = json!("held");
                object[HELD] = json!(true);
            }),
            Deed::IsTaken(part) => {
                let annotations = json!({ "meta.helm.sh/release-name": "another" });
                let made = json!({ "metadata": { "annotations": annotations }, "data": { "version": "another" } });
                if world.create(Kind::ConfigMap, &named(part), made.clone()).is_err() {
                    self.change(part, |object| {
                        object["metadata"]["annotations"] = made["metadata"]["annotations"].clone();
                        object["data"] = made["data"].clone();
                    });
                }
            }
            Deed::Pins(part) => self.change(part, |object| object["metadata"]["finalizers"] = json!(["pinned"])),
            Deed::NamespaceGone => world.lock().no_namespace = Some(NoNamespace::Gone),
            Deed::NamespaceEnds => {
                for record in history(world, &self.name()) {
                    record.remove(world, &self.name());
                }
                world.lock().no_namespace = Some(NoNamespace::Going);
            }
        }
        ready(()).boxed_local()
    }

    fn object(&self, part: Part) -> LocalBoxFuture<'_, Option<Value>> {
        let found = self.world.get(Kind::ConfigMap, &self.name_of(part));
        ready(found.map(|object| Value::clone(&object))).boxed_local()
    }

    fn test_name(&self) -> String {
        TEST.to_owned()
    }
}
