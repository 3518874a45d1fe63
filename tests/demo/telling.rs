//! How the story looks on a terminal, and without colours where there is none.

use std::cell::Cell;
use std::io::IsTerminal;
use std::time::Instant;

/// Escape sequences of terminals.
const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";

/// Prints the story.
#[derive(Default)]
pub(crate) struct Telling {
    begun: Cell<bool>,
}

impl Telling {
    pub(crate) fn chapter(&self, title: &str) {
        if self.begun.replace(true) {
            println!();
        }
        println!("{}", painted(BOLD, title));
    }

    pub(crate) fn line(&self, text: &str) {
        println!("  {text}");
        self.begun.set(true);
    }

    pub(crate) fn quote(&self, text: &str) {
        text.trim_end().lines().for_each(|line| println!("  {}", painted(DIM, line)));
        self.begun.set(true);
    }

    /// What was found in the cluster by looking at it.
    pub(crate) fn seen(&self, text: &str) {
        self.line(&format!("{} {text}", painted(GREEN, "seen:")));
    }

    /// A step whose status is told as it changes.
    pub(crate) fn scene(&self) -> Scene {
        self.begun.set(true);
        Scene { begin: Instant::now(), last: String::new() }
    }
}

pub(crate) struct Scene {
    begin: Instant,
    last: String,
}

impl Scene {
    /// Tells the sentence when it is another one than before.
    pub(crate) fn status(&mut self, ready: &str, reason: &str, message: &str) {
        let sentence = format!("{reason}: {message}");
        if sentence == self.last {
            return;
        }
        let colour = match ready {
            "True" => GREEN,
            "False" => RED,
            _ => YELLOW,
        };
        let ready = painted(colour, &format!("Ready={ready:<7}"));
        println!("  {:>5.1} s  {ready}  {sentence}", self.begin.elapsed().as_secs_f32());
        self.last = sentence;
    }
}

fn painted(code: &str, text: &str) -> String {
    if std::io::stdout().is_terminal() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}
