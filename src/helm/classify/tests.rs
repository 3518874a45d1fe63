//! Every recorded and documented wording of helm, with what it has to be taken for.

use std::time::Duration;

use super::*;
use crate::{helm::Inputs, types::Redacted};

const RECORDED: [&str; 3] =
    [include_str!("fixtures/helm3.txt"), include_str!("fixtures/helm4.txt"), include_str!("fixtures/documented.txt")];
/// Were among the values when the fixtures were recorded.
const SECRETS: [&str; 2] = ["hunTer2secret", "4711"];

fn command(kind: &str) -> Command {
    let inputs = Inputs {
        chart: "/x.tgz".into(),
        values: Redacted::default(),
        labels: std::collections::BTreeMap::new(),
        description: String::new(),
    };
    match kind {
        "install" => Command::Install { inputs, replace: false, create_namespace: false, take_ownership: false },
        "upgrade" => Command::Upgrade { inputs, force_conflicts: false, take_ownership: false },
        "rollback" => Command::Rollback { to: 1, force_conflicts: false },
        "test" => Command::Test { except: vec![] },
        "uninstall" => Command::Uninstall,
        _ => panic!("no such kind: {kind}"),
    }
}

fn run(exit: Exit, stderr: &str) -> Run {
    Run { stderr_tail: Redacted::new(stderr.to_owned()), wall: Duration::ZERO, ..Run::without_process(exit) }
}

fn shown(ended: &Ended) -> &str {
    match ended {
        Ended::Succeeded => "Succeeded",
        Ended::Failed(failure) => failure.class.as_str(),
        Ended::TimedOut => "TimedOut",
        Ended::Cancelled => "Cancelled",
        Ended::Killed { .. } => "Killed",
        Ended::NotStarted(_) => "NotStarted",
    }
}

#[test]
fn every_wording_has_its_class_and_no_message_repeats_a_value() {
    let mut count = 0;
    for section in RECORDED.iter().flat_map(|file| file.split("\n## ").skip(1)) {
        let (title, stderr) = section.split_once('\n').unwrap();
        let mut words = title.splitn(3, ' ');
        let (class, kind) = (words.next().unwrap(), words.next().unwrap());
        let ended = ended(&run(Exit::Code(1), stderr), &command(kind));
        assert_eq!(shown(&ended), class, "{title}: {ended:?}");
        if let Ended::Failed(Failure { message, .. }) = ended {
            assert!(!message.is_empty() && message.len() <= 600, "{title}: {message}");
            assert!(!SECRETS.iter().any(|secret| message.contains(secret)), "{title}: {message}");
            assert!(!message.contains("FAILED"), "{title}: {message}");
            assert!(!message.contains("[debug]") && !message.contains(".go:"), "{title}: {message}");
        }
        count += 1;
    }
    assert!(count > 100, "only {count} sections were found");
}

fn message(stderr: &str, kind: &str) -> String {
    match ended(&run(Exit::Code(1), stderr), &command(kind)) {
        Ended::Failed(failure) => failure.message.into(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn messages_say_the_cause_on_one_line() {
    assert_eq!(
        message(
            "Error: UPGRADE FAILED: pre-upgrade hooks failed: 1 error occurred:\n\t* job migrate failed: x\n\n",
            "upgrade"
        ),
        "pre-upgrade hooks failed: 1 error occurred: * job migrate failed: x"
    );
    assert_eq!(
        message(
            "Error: a/x.yaml:1:6\n  executing \"a/x.yaml\" at <.Values.a.b>:\n    can't evaluate field b\n\nUse --debug flag to render out invalid YAML\n",
            "upgrade"
        ),
        "a/x.yaml:1:6; executing \"a/x.yaml\" at <.Values.a.b>: can't evaluate field b"
    );
    let schema = "Error: values don't meet the specifications of the schema(s) in the following chart(s):\nunicorn:\n- at '/n': got string, want integer\n";
    assert!(message(schema, "install").ends_with("chart(s): unicorn: - at '/n': got string, want integer"));
}

#[test]
fn reasons_of_an_uninstall_are_taken_from_its_debug_lines() {
    let stderr = "level=DEBUG msg=\"uninstall: Failed to delete release\" error=\"[admission webhook \\\"w\\\" denied the request: no]\"\nError: failed to delete release: unicorn\n";
    let expected = "failed to delete release: unicorn: [admission webhook \"w\" denied the request: no]";
    assert_eq!(message(stderr, "uninstall"), expected);
}

#[test]
fn exits_other_than_helms_own_need_no_text() {
    let stderr = "Error: release: not found\n";
    for (exit, expected) in [
        (Exit::Code(0), Ended::Succeeded),
        (Exit::Signal(9), Ended::Killed { signal: 9 }),
        (Exit::TimedOut, Ended::TimedOut),
        (Exit::Cancelled, Ended::Cancelled),
    ] {
        assert_eq!(ended(&run(exit, stderr), &Command::Uninstall), expected);
    }
    assert_eq!(message("", "upgrade"), "helm ended with code 1 and said no reason");
}
