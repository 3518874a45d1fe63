//! Plays a story on any ground, and compares what is seen with what is told.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use futures::future::{Either, select};
use helm_release_operator::{
    helm::{Command, HookPhase, Inputs, Invocation, Stop, decode, ended, unlock},
    release::{Ended, Identity, LABEL_REVISION, LABEL_VERIFIED, RecordStatus, Records},
    types::Redacted,
};
use jiff::Timestamp;

use super::{Act, Ask, Flavour, Ground, Halt, How, Loss, Moment, Part, Write};

/// Revisions that a run keeps where the story says nothing else.
const KEPT: u32 = 10;
/// helm's own limit of each step, and of the whole run: none is reached where the story says nothing else.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The limit of a run that is to reach it, and of its other steps, which are not to: starting helm and a hook's Job take
/// seconds on a busy machine.
const HURRY: Duration = Duration::from_secs(10);
/// What the operator has helm note on each revision.
const DESCRIPTION: &str = "contract";

/// How a run is interfered with.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    None,
    Cut(Moment, Halt),
    Broken(Write, Loss),
}

/// Plays all acts; the first that is not as told is the error.
pub(crate) async fn play(ground: &impl Ground, name: &str, acts: &[Act]) -> Result<(), String> {
    for (number, act) in acts.iter().enumerate() {
        let (told, seen) = match act {
            Act::Run(ask, ends, leaves) => {
                (format!("{ends} | {leaves}"), run_and_look(ground, *ask, Trouble::None).await)
            }
            Act::Cut(ask, moment, halt, ends, leaves) => {
                (format!("{ends} | {leaves}"), run_and_look(ground, *ask, Trouble::Cut(*moment, *halt)).await)
            }
            Act::Broken(ask, write, loss, ends, leaves) => {
                (format!("{ends} | {leaves}"), run_and_look(ground, *ask, Trouble::Broken(*write, *loss)).await)
            }
            Act::By(hand, leaves) => {
                ground.by_hand(*hand).await;
                ((*leaves).to_owned(), list(&records(ground).await))
            }
            Act::Tells(told) => ((*told).to_owned(), newest(ground).await),
            Act::There(told) => ((*told).to_owned(), objects(ground).await),
            Act::Mark(revision) => {
                mark(ground, *revision).await;
                continue;
            }
            Act::Unlock(revision) => {
                open(ground, *revision).await;
                continue;
            }
            Act::Spoil(revision) => {
                spoil(ground, *revision).await;
                continue;
            }
            Act::Forget(revision) => {
                ground.requests().delete_record(ground.release(), *revision).await.unwrap();
                continue;
            }
            Act::Happens(deed) => {
                ground.happens(*deed).await;
                continue;
            }
        };
        if told != seen {
            return Err(format!("{name}: act {} ({act:?})\n  told: {told}\n  seen: {seen}", number + 1));
        }
    }
    Ok(())
}

async fn run_and_look(ground: &impl Ground, ask: Ask, trouble: Trouble) -> String {
    let ended = run(ground, ask, trouble).await;
    format!("{ended} | {}", list(&records(ground).await))
}

fn list(records: &Records) -> String {
    records.iter().fold(String::new(), |mut text, record| {
        let comma = if text.is_empty() { "" } else { ", " };
        let _ = write!(text, "{comma}{} {}", record.revision, record.status);
        if let Some(stamp) = record.stamp {
            let _ = write!(text, " s{stamp}");
        }
        if let Some(verified) = record.verified {
            let _ = write!(text, " v{verified}");
        }
        // By this a dead process is told from a living one.
        text.push_str(if record.written > 0 { "" } else { " never written" });
        text
    })
}

/// What the newest record says beside its labels.
async fn newest(ground: &impl Ground) -> String {
    let revision = records(ground).await.next_revision() - 1;
    let data = ground.requests().read_record_data(ground.release(), revision).await.unwrap().unwrap();
    let payload = decode(&data.bytes).unwrap();
    let mut text = format!("{} {}", payload.chart_version, payload.status);
    if let Some(to) = payload.rollback_to {
        let _ = write!(text, ", back to {to}");
    }
    if &*payload.description == DESCRIPTION {
        text.push_str(", as described");
    }
    for hook in payload.hooks.iter().filter(|hook| hook.phase != HookPhase::Unknown) {
        let _ = write!(text, ", {} {:?}", if hook.is_test() { "test" } else { "hook" }, hook.phase);
    }
    text
}

/// The objects that are there: of which version, and whose where they are not the release's.
async fn objects(ground: &impl Ground) -> String {
    let mut text = String::new();
    for part in [Part::Page, Part::Extra, Part::Kept] {
        let Some(object) = ground.object(part).await else { continue };
        let comma = if text.is_empty() { "" } else { ", " };
        let _ = write!(text, "{comma}{part:?} {}", object["data"]["version"].as_str().unwrap_or("of nothing"));
        match object["metadata"]["annotations"]["meta.helm.sh/release-name"].as_str() {
            Some(name) if name == ground.release().name.as_str() => {}
            Some(_) => text.push_str(" of another release"),
            None => text.push_str(" of no release"),
        }
        if object["metadata"]["deletionTimestamp"].is_string() {
            text.push_str(" going");
        }
    }
    text
}

async fn records(ground: &impl Ground) -> Records {
    ground.requests().read_records(ground.release()).await.unwrap().records()
}

async fn run(ground: &impl Ground, ask: Ask, trouble: Trouble) -> String {
    let next = records(ground).await.next_revision();
    let invocation = invocation(ground, ask, next);
    let stop = Stop::default();
    let made = if matches!(ask.bare(), Ask::Uninstall) { next - 1 } else { next };
    let moment = match trouble {
        Trouble::Cut(moment, halt) => Some((ground.at(moment, halt, next, ask.flavour()), halt)),
        Trouble::Broken(write, loss) => {
            ground.breaks(write, loss, made);
            None
        }
        Trouble::None => None,
    };
    let run = ground.helm().run(&invocation, ground.access(), &Identity::Own, &stop);
    let run = match moment {
        None => run.await,
        Some((moment, halt)) => match select(run, moment).await {
            Either::Left((run, _)) => panic!("{ask:?} ended before it was at {trouble:?}: {run:?}"),
            Either::Right(((), run)) => {
                match halt {
                    Halt::Gently => stop.gently.cancel(),
                    Halt::Now => stop.now.cancel(),
                    Halt::BySomebody => ground.signals(),
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
    if matches!(ask.bare(), Ask::Test) { format!("{ended}, {}", tests(ground, next - 1).await) } else { ended }
}

/// How the tests of a revision ended, as its record tells.
async fn tests(ground: &impl Ground, revision: u32) -> String {
    let Some(data) = ground.requests().read_record_data(ground.release(), revision).await.unwrap() else {
        return "no record".to_owned();
    };
    let hooks = decode(&data.bytes).unwrap().hooks;
    let phases: Vec<String> =
        hooks.iter().filter(|hook| hook.is_test()).map(|test| format!("{:?}", test.phase)).collect();
    phases.join(" ")
}

fn invocation(ground: &impl Ground, ask: Ask, next: u32) -> Invocation {
    let inputs = |flavour: Flavour| {
        let (chart, values) = ground.chart(flavour);
        let labels = BTreeMap::from([(LABEL_REVISION.to_owned(), next.to_string())]);
        Inputs { chart, values: Redacted::new(values), labels, description: DESCRIPTION.to_owned() }
    };
    let install = |flavour: Flavour, replace| {
        let (create_namespace, take_ownership) = (false, false);
        Command::Install { inputs: inputs(flavour), replace, create_namespace, take_ownership }
    };
    let command = match ask {
        Ask::With(how, ask) => return with(how, invocation(ground, *ask, next), ground),
        Ask::Install(flavour) => install(flavour, false),
        Ask::Replace(flavour) => install(flavour, true),
        Ask::Upgrade(flavour) => {
            Command::Upgrade { inputs: inputs(flavour), force_conflicts: false, take_ownership: false }
        }
        Ask::Rollback(to) => Command::Rollback { to, force_conflicts: false },
        Ask::Test => Command::Test { except: Vec::new() },
        Ask::Uninstall => Command::Uninstall,
    };
    Invocation {
        release: ground.release().clone(),
        command,
        history_max: KEPT,
        timeout: TIMEOUT,
        wall_clock: TIMEOUT,
        wait_for_hooks: ask.flavour().is_some_and(Flavour::has_hooks),
        skip_hooks: false,
    }
}

fn with(how: How, mut of: Invocation, ground: &impl Ground) -> Invocation {
    match how {
        How::Keeping(kept) => of.history_max = kept,
        How::NoHooks => of.skip_hooks = true,
        How::Waiting => of.wait_for_hooks = true,
        How::Hurried => of.timeout = HURRY,
        How::CutShort => of.wall_clock = HURRY,
        How::Forced | How::Taking | How::NewNamespace | How::NoTest => match &mut of.command {
            Command::Install { create_namespace, take_ownership, .. } => {
                *create_namespace |= matches!(how, How::NewNamespace);
                *take_ownership |= matches!(how, How::Taking);
            }
            Command::Upgrade { force_conflicts, take_ownership, .. } => {
                *force_conflicts |= matches!(how, How::Forced);
                *take_ownership |= matches!(how, How::Taking);
            }
            Command::Rollback { force_conflicts, .. } => *force_conflicts |= matches!(how, How::Forced),
            Command::Test { except } => except.push(ground.test_name().into()),
            Command::Uninstall => {}
        },
    }
    of
}

async fn mark(ground: &impl Ground, revision: u32) {
    let number = revision.to_string();
    ground.requests().mark(ground.release(), (revision, None), &[(LABEL_VERIFIED, Some(&number))]).await.unwrap();
}

async fn open(ground: &impl Ground, revision: u32) {
    let (requests, release) = (ground.requests(), ground.release());
    let mut data = requests.read_record_data(release, revision).await.unwrap().unwrap();
    data.bytes = unlock(&data.bytes, "unlocked").unwrap();
    let now = Timestamp::UNIX_EPOCH;
    requests.replace_record_data(release, revision, data, RecordStatus::Failed, now).await.unwrap();
}

async fn spoil(ground: &impl Ground, revision: u32) {
    let (requests, release) = (ground.requests(), ground.release());
    let mut data = requests.read_record_data(release, revision).await.unwrap().unwrap();
    let status = data.record.as_ref().unwrap().record.status;
    data.bytes = b"no record".to_vec();
    requests.replace_record_data(release, revision, data, status, Timestamp::UNIX_EPOCH).await.unwrap();
}
