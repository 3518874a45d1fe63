//! The contract of helm, played by the simulated one: see tests/contract.

use std::{path::PathBuf, pin::pin, sync::Arc, time::Duration};

use futures::{
    FutureExt as _,
    future::{BoxFuture, select},
};
use helm_release_operator::{
    cluster::{Discovery, Requests},
    controller::RunsHelm,
    helm::{Auth, ClusterAccess},
    types::{Namespace, ReleaseKey, ReleaseName},
};

use crate::{
    behaviours::{Flavour, Ground, Halt, Moment, STORIES, play},
    records::{Record, history},
    runs::SimulatedHelm,
    scenario::{Behaviour, Settings, Test},
    server,
    world::{Kind, Name, World},
};

/// In simulated time; more than any run takes to any moment.
const MOMENT_MAX: Duration = Duration::from_secs(50);

/// What the simulated helm does otherwise than the real ones.
pub fn broken() -> Vec<String> {
    let differs = |story| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async { play(&Simulated::new(), story).await.err() })
    };
    STORIES.iter().filter_map(differs).collect()
}

/// One release in a world in which nothing goes wrong by chance.
struct Simulated {
    world: Arc<World>,
    helm: SimulatedHelm,
    access: ClusterAccess,
    requests: Requests,
    release: ReleaseKey,
}

const FLAVOURS: [(Flavour, Behaviour); 12] = [
    (Flavour::One, Behaviour::Good { ready: 100 }),
    (Flavour::Two, Behaviour::Good { ready: 100 }),
    (Flavour::Three, Behaviour::Good { ready: 100 }),
    (Flavour::Hooked, Behaviour::Hooks { ready: 100 }),
    (Flavour::HookFails, Behaviour::HookFails),
    (Flavour::HookHangs, Behaviour::Hooks { ready: 100 }),
    (Flavour::NeverReady, Behaviour::Never),
    (Flavour::Invalid, Behaviour::Invalid),
    (Flavour::Unrendered, Behaviour::Template),
    (Flavour::Tested, Behaviour::Good { ready: 100 }),
    (Flavour::TestFails, Behaviour::Good { ready: 100 }),
    (Flavour::WayBackFails, Behaviour::WayBackFails),
];
const TESTS: [(Flavour, Test); 2] = [(Flavour::Tested, Test::Passes), (Flavour::TestFails, Test::Fails)];

impl Simulated {
    fn new() -> Self {
        let settings = Settings {
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

    fn is_at(&self, moment: Moment, revision: u32, flavour: Option<Flavour>) -> bool {
        let records = history(&self.world, &self.name());
        let newest = records.last();
        let begun = newest.is_some_and(|newest| {
            (newest.revision == revision && newest.is_pending()) || newest.status == "uninstalling"
        });
        let deployed = |records: &[Record]| records.iter().any(|record| record.status == "deployed");
        match moment {
            Moment::Before => true,
            Moment::Begun | Moment::Hook => begun,
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

    fn at(&self, moment: Moment, _: Halt, revision: u32, flavour: Option<Flavour>) -> BoxFuture<'_, ()> {
        async move {
            let (mut records, mut objects) = (self.world.news(Kind::Secret), self.world.news(Kind::Deployment));
            let reached = async {
                while !self.is_at(moment, revision, flavour) {
                    let _ = select(pin!(records.changed()), pin!(objects.changed())).await;
                }
            };
            tokio::time::timeout(MOMENT_MAX, reached).await.expect("helm gets to the moment");
        }
        .boxed()
    }

    fn release_all(&self) {}
}
