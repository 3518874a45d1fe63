//! The contract of helm, played by the real ones: see tests/contract. Each story is a test of its own for each major.

#[path = "contract/real.rs"]
mod real;

use std::path::PathBuf;
use std::sync::Arc;

use libtest_mimic::Trial;

use crate::contract::{Act, Major, play, stories};
use crate::ground::Ground;
use crate::scenario::{self, Scenario, skip};
use real::RealHelm;

/// All stories for helm 4, and for helm 3.
pub(crate) fn trials(ground: &Arc<Ground>) -> Vec<Trial> {
    let of = |major: Major, label: &'static str| {
        stories(major).map(move |(name, acts)| {
            let ground = Arc::clone(ground);
            let title = format!("contract::helm_{label}::{name}");
            let test = move || scenario::play(&ground, "contract", |s| tell(s, major, name, acts));
            Trial::ignorable_test(title, test)
        })
    };
    of(Major::Four, "4").chain(of(Major::Three, "3")).collect()
}

fn tell(s: &Scenario<'_>, major: Major, name: &str, acts: &[Act]) {
    let helm: PathBuf = match major {
        Major::Four => s.land.helm.clone(),
        Major::Three => s.land.sandbox.helm3().unwrap_or_else(|error| skip(error.to_string())),
    };
    let told = s.land.cluster.wait(play(&RealHelm::new(s, major, helm), name, acts));
    assert!(told.is_ok(), "{}", told.err().unwrap_or_default());
}
