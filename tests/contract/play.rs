//! Plays a story on any ground, and compares what is seen with what is told.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use futures::future::{Either, select};
use helm_release_operator::{
    helm::{Command, Inputs, Invocation, Stop, decode, ended, unlock},
    release::{Ended, Identity, LABEL_REVISION, LABEL_VERIFIED, RecordStatus, Records},
    types::Redacted,
};
use jiff::Timestamp;

use super::{Act, Ask, Flavour, Ground, Halt, Moment, Story};

/// Revisions that a run keeps where the story says nothing else.
const KEPT: u32 = 10;
/// helm's own limit of each step, and of the whole run: none is reached, since what never ends is cut off.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Plays all acts; the first that is not as told is the error.
pub(crate) async fn play(ground: &impl Ground, story: &Story) -> Result<(), String> {
    for (number, act) in story.acts.iter().enumerate() {
        let (ended, told) = match act {
            Act::Run(ask, ..) => (run(ground, *ask, None).await, act),
            Act::Cut(ask, moment, halt, ..) => (run(ground, *ask, Some((*moment, *halt))).await, act),
            Act::Mark(revision) => {
                mark(ground, *revision).await;
                continue;
            }
            Act::Unlock(revision) => {
                open(ground, *revision).await;
                continue;
            }
        };
        let seen = (
            ended,
            records(ground).await.iter().fold(String::new(), |mut text, record| {
                let comma = if text.is_empty() { "" } else { ", " };
                let _ = write!(text, "{comma}{} {}", record.revision, record.status);
                if let Some(stamp) = record.stamp {
                    let _ = write!(text, " s{stamp}");
                }
                if let Some(verified) = record.verified {
                    let _ = write!(text, " v{verified}");
                }
                text
            }),
        );
        let (Act::Run(_, ends, leaves) | Act::Cut(.., ends, leaves)) = told else { continue };
        if (&*seen.0, &*seen.1) != (*ends, *leaves) {
            return Err(format!(
                "{}: act {} ({act:?})\n  told: {ends} | {leaves}\n  seen: {} | {}",
                story.name,
                number + 1,
                seen.0,
                seen.1
            ));
        }
    }
    Ok(())
}

async fn records(ground: &impl Ground) -> Records {
    ground.requests().read_records(ground.release()).await.unwrap().records()
}

async fn run(ground: &impl Ground, ask: Ask, cut: Option<(Moment, Halt)>) -> String {
    let next = records(ground).await.next_revision();
    let invocation = invocation(ground, ask, next);
    let stop = Stop::default();
    let moment = cut.map(|(moment, halt)| (ground.at(moment, halt, next, ask.flavour()), halt));
    let run = ground.helm().run(&invocation, ground.access(), &Identity::Own, &stop);
    let run = match moment {
        None => run.await,
        Some((moment, halt)) => match select(run, moment).await {
            Either::Left((run, _)) => panic!("{ask:?} ended before it was at {cut:?}: {run:?}"),
            Either::Right(((), run)) => {
                match halt {
                    Halt::Gently => stop.gently.cancel(),
                    Halt::Now => stop.now.cancel(),
                }
                run.await
            }
        },
    };
    ground.release_all();
    let ended = match ended(&run.unwrap(), &invocation.command) {
        Ended::Succeeded => "succeeded".into(),
        Ended::Failed(failure) => format!("failed {}", failure.class.as_str()),
        Ended::TimedOut => "timed out".into(),
        Ended::Cancelled => "cancelled".into(),
        Ended::Killed { .. } => "killed".into(),
        Ended::NotStarted(failure) => format!("not started: {}", failure.message),
    };
    if matches!(ask, Ask::Test) { format!("{ended}, {}", tests(ground, next - 1).await) } else { ended }
}

/// How the tests of a revision ended, as its record tells.
async fn tests(ground: &impl Ground, revision: u32) -> String {
    let data = ground.requests().read_record_data(ground.release(), revision).await.unwrap().unwrap();
    let hooks = decode(&data.bytes).unwrap().hooks;
    let phases: Vec<String> =
        hooks.iter().filter(|hook| hook.is_test()).map(|test| format!("{:?}", test.phase)).collect();
    phases.join(" ")
}

fn invocation(ground: &impl Ground, ask: Ask, next: u32) -> Invocation {
    let inputs = |flavour: Flavour| {
        let (chart, values) = ground.chart(flavour);
        let labels = BTreeMap::from([(LABEL_REVISION.to_owned(), next.to_string())]);
        Inputs { chart, values: Redacted::new(values), labels, description: "contract".to_owned() }
    };
    let command = match ask {
        Ask::Install(flavour) => {
            Command::Install { inputs: inputs(flavour), replace: false, create_namespace: false, take_ownership: false }
        }
        Ask::Replace(flavour) => {
            Command::Install { inputs: inputs(flavour), replace: true, create_namespace: false, take_ownership: false }
        }
        Ask::Upgrade(flavour) | Ask::UpgradeKeeping(flavour, _) => {
            Command::Upgrade { inputs: inputs(flavour), force_conflicts: false, take_ownership: false }
        }
        Ask::Rollback(to) => Command::Rollback { to, force_conflicts: false },
        Ask::Test => Command::Test { except: Vec::new() },
        Ask::Uninstall => Command::Uninstall,
    };
    Invocation {
        release: ground.release().clone(),
        command,
        history_max: if let Ask::UpgradeKeeping(_, kept) = ask { kept } else { KEPT },
        timeout: TIMEOUT,
        wall_clock: TIMEOUT,
        wait_for_hooks: ask.flavour().is_some_and(Flavour::has_hooks),
        skip_hooks: false,
    }
}

async fn mark(ground: &impl Ground, revision: u32) {
    let number = revision.to_string();
    ground.requests().mark(ground.release(), revision, &[(LABEL_VERIFIED, Some(&number))]).await.unwrap();
}

async fn open(ground: &impl Ground, revision: u32) {
    let (requests, release) = (ground.requests(), ground.release());
    let mut data = requests.read_record_data(release, revision).await.unwrap().unwrap();
    data.bytes = unlock(&data.bytes, "unlocked").unwrap();
    let now = Timestamp::UNIX_EPOCH;
    requests.replace_record_data(release, revision, data, RecordStatus::Failed, now).await.unwrap();
}
