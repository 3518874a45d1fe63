//! What a run of helm came to: from its exit first, from its words as the last resort.
//!
//! helm has one exit code for all failures. Its texts differ between majors mostly in the first letter, so they are
//! compared in lower case. The order of the table matters: a cause that lies outside is looked for before the step in
//! which it showed, because a hook that could not be created for want of a right did not fail by itself.

mod conflict;
mod ownership;

use super::{
    argv::Command,
    message,
    run::{Exit, Run},
};
use crate::release::{Ended, Failure, FailureClass, FailureClass as Class};

/// SIGTERM, as in `kill -TERM`.
const SIGTERM: i32 = 15;
/// helm gave up waiting for objects to become ready, or to go: which, is in their health and not in helm's words.
const WAIT_TIMED_OUT: &str = "context deadline exceeded";

/// How the run ended, for the planner.
pub fn ended(run: &Run, command: &Command) -> Ended {
    match &run.exit {
        Exit::Code(0) => Ended::Succeeded,
        Exit::Code(code) => failed(run.stderr_tail.expose(), *code, command),
        Exit::Signal(signal) => Ended::Killed { signal: *signal },
        Exit::TimedOut => Ended::TimedOut,
        Exit::Cancelled => Ended::Cancelled,
        Exit::NotStarted(failure) => Ended::NotStarted(failure.clone()),
    }
}

fn failed(stderr: &str, code: i32, command: &Command) -> Ended {
    let Some(block) = message::error_block(stderr) else {
        let message = format!("helm ended with code {code} and said no reason").into();
        return Ended::Failed(Failure { class: Class::Other, message });
    };
    let uninstalls = matches!(command, Command::Uninstall);
    let causes = message::deletion_errors(stderr).filter(|_| uninstalls);
    let raw = causes.map_or_else(|| block.to_owned(), |causes| format!("{block}: {causes}"));
    let text = raw.to_lowercase();
    match class(&text) {
        // Gone is what an uninstall is for.
        Some(Class::NotFound) if uninstalls => Ended::Succeeded,
        None if text.contains(WAIT_TIMED_OUT) => {
            let what = if uninstalls { "objects were not gone in time" } else { "objects were not ready in time" };
            Ended::Failed(Failure { class: Class::NotReady, message: what.into() })
        }
        // Our own signal makes the exit `Cancelled`: this one came from somebody else.
        None if text.contains("context canceled") => Ended::Killed { signal: SIGTERM },
        class => {
            let class = class.unwrap_or(Class::Other);
            let sentence = match class {
                Class::Conflict => conflict::sentence(&raw, command),
                Class::Ownership => ownership::sentence(&raw),
                _ => None,
            };
            let message = sentence.unwrap_or_else(|| message::clean(&raw));
            Ended::Failed(Failure { class, message: message.into() })
        }
    }
}

/// The first row of the table whose texts are all there.
fn class(text: &str) -> Option<FailureClass> {
    TABLE.iter().find(|row| row.matches(text)).map(|row| row.class)
}

struct Row {
    class: FailureClass,
    /// How the error begins; anything where empty.
    start: &'static str,
    /// All of them, anywhere, in lower case.
    texts: &'static [&'static str],
}

impl Row {
    fn matches(&self, text: &str) -> bool {
        text.starts_with(self.start) && self.texts.iter().all(|part| text.contains(part))
    }
}

const fn start(class: FailureClass, start: &'static str) -> Row {
    Row { class, start, texts: &[] }
}

const fn part(class: FailureClass, texts: &'static [&'static str]) -> Row {
    Row { class, start: "", texts }
}

const TABLE: &[Row] = &[
    // Rendering comes first: its errors may quote anything, and begin in a way that nothing else does.
    start(Class::Template, "execution error at ("),
    start(Class::Template, "parse error at ("),
    start(Class::Template, "yaml parse error on "),
    start(Class::Template, "template: "),
    part(Class::Template, &["executing \"", "\" at <"]),
    part(Class::Template, &["error converting yaml to json"]),
    part(Class::Schema, &["values don't meet the specifications of the schema"]),
    start(Class::Incompatible, "chart requires kubeversion"),
    part(Class::Incompatible, &["library charts are not installable"]),
    part(Class::Incompatible, &["found in chart.yaml, but missing in charts/ directory"]),
    part(Class::Incompatible, &["does not appear to be a gzipped archive"]),
    part(Class::Incompatible, &["chart.yaml file is missing"]),
    start(Class::InputsChanged, "path \""),
    start(Class::HelmUnavailable, "unknown flag: "),
    start(Class::HelmUnavailable, "unknown command "),
    start(Class::HelmUnavailable, "invalid argument "),
    // Records.
    part(Class::Locked, &["another operation (install/upgrade/rollback) is in progress"]),
    part(Class::LostRace, &["release: already exists"]),
    part(Class::LostRace, &["a name that is still in use"]),
    part(Class::LostRace, &["release has no ", " version"]),
    part(Class::LostRace, &["the object has been modified"]),
    part(Class::NotFound, &["release: not found"]),
    part(Class::NotFound, &["has no deployed releases"]),
    part(Class::NotFound, &["no revision for release"]),
    part(Class::NotFound, &["the release named ", " is already deleted"]),
    part(Class::TooLarge, &["may not be more than 1048576 bytes"]),
    part(Class::TooLarge, &["must have at most 1048576 bytes"]),
    part(Class::TooLarge, &["request entity too large"]),
    part(Class::TooLarge, &["request is too large"]),
    part(Class::TooLarge, &["trying to send message larger than max"]),
    // Causes outside. Webhooks before the network: a webhook that is down is told with the network's words.
    part(Class::Admission, &["admission webhook"]),
    part(Class::Admission, &["failed calling webhook"]),
    part(Class::Admission, &["conversion webhook"]),
    part(Class::Forbidden, &["is forbidden: user "]),
    part(Class::NamespaceMissing, &["because it is being terminated"]),
    part(Class::NamespaceMissing, &["namespaces \"", "\" not found"]),
    // Quotas, limits, pod security and policies: all that is forbidden, but not to a user.
    part(Class::Admission, &["is forbidden: "]),
    part(Class::Unreachable, &["kubernetes cluster unreachable"]),
    part(Class::Unreachable, &["the server has asked for the client to provide credentials"]),
    part(Class::Unreachable, &["unauthorized"]),
    part(Class::Unreachable, &["connection refused"]),
    part(Class::Unreachable, &["connection reset by peer"]),
    part(Class::Unreachable, &["client connection lost"]),
    part(Class::Unreachable, &["no route to host"]),
    part(Class::Unreachable, &["no such host"]),
    part(Class::Unreachable, &["i/o timeout"]),
    part(Class::Unreachable, &["tls handshake timeout"]),
    part(Class::Unreachable, &["unexpected eof"]),
    part(Class::Unreachable, &["\": eof"]),
    part(Class::Unreachable, &["\": context deadline exceeded"]),
    part(Class::Unreachable, &["client.timeout exceeded"]),
    part(Class::Unreachable, &["x509: "]),
    part(Class::Unreachable, &["etcdserver: "]),
    part(Class::Unreachable, &["too many requests"]),
    part(Class::Unreachable, &["the server is currently unable to handle the request"]),
    part(Class::Unreachable, &["the server was unable to return a response in the time allotted"]),
    part(Class::Unreachable, &["service unavailable"]),
    part(Class::Unreachable, &["internal error occurred: "]),
    part(Class::Unreachable, &["an error on the server ("]),
    // An answer that is none of the API server's: the page of a proxy before it, or half of an object.
    part(Class::Unreachable, &["serializer for ", " doesn't exist"]),
    part(Class::Unreachable, &["unexpected end of json input"]),
    part(Class::Unreachable, &["invalid character '<' looking for beginning of value"]),
    part(Class::Unreachable, &["request did not complete within"]),
    part(Class::Unreachable, &["could not be completed at this time, please try again"]),
    part(Class::Unreachable, &["client rate limiter wait"]),
    // Objects.
    part(Class::Ownership, &["cannot be imported into the current release"]),
    part(Class::Ownership, &["invalid ownership metadata"]),
    part(Class::Conflict, &["conflict occurred while applying object"]),
    part(Class::Conflict, &["apply failed with ", " conflict"]),
    part(Class::MissingKind, &["no matches for kind "]),
    part(Class::MissingKind, &["ensure crds are installed first"]),
    part(Class::MissingKind, &["contains removed kubernetes api"]),
    part(Class::MissingKind, &["the server could not find the requested resource"]),
    part(Class::Hook, &[" hooks failed: "]),
    start(Class::Hook, "failed pre-install: "),
    start(Class::Hook, "failed post-install: "),
    start(Class::Hook, "warning: hook "),
    part(Class::Invalid, &["is invalid: "]),
    part(Class::Invalid, &["field is immutable"]),
    part(Class::Invalid, &["error validating data"]),
    part(Class::Invalid, &["strict decoding error"]),
    part(Class::Invalid, &["cannot be handled as a "]),
    part(Class::Invalid, &["failed to replace object"]),
    part(Class::Invalid, &["cannot patch \""]),
    part(Class::Invalid, &["server-side apply failed for object"]),
    // Rollbacks and uninstalls tell of their hooks without a word of the event. Of objects they tell it only where
    // helm was asked to wait by watching, which it never is here.
    part(Class::Hook, &["timed out waiting for the condition"]),
    part(Class::Hook, &[" not ready. status: "]),
    part(Class::Hook, &["job ", " failed: "]),
    part(Class::Hook, &["pod ", " failed"]),
];

#[cfg(test)]
mod tests;
