//! What a process writes, kept line by line for waits and for the message of a test that fails.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Mutex, PoisonError};

/// Lines that are kept; a story of a minute at debug level stays below.
const LINES_MAX: usize = 50_000;

/// The newest lines of a stream; a clone looks at the same lines.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<VecDeque<String>>>);

impl Log {
    /// Collects from the stream until it ends.
    pub(crate) fn collect(stream: impl Read + Send + 'static) -> Self {
        let log = Self::default();
        let writer = log.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                writer.push(line);
            }
        });
        log
    }

    fn push(&self, line: String) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push_back(line);
        if lines.len() > LINES_MAX {
            lines.pop_front();
        }
    }

    /// The first yield of the lines so far.
    pub(crate) fn find<T>(&self, look: impl FnMut(&String) -> Option<T>) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().find_map(look)
    }

    pub(crate) fn count(&self, is_it: impl Fn(&str) -> bool) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().filter(|line| is_it(line)).count()
    }

    pub(crate) fn contains(&self, text: &str) -> bool {
        self.find(|line| line.contains(text).then_some(())).is_some()
    }

    /// The last lines.
    pub(crate) fn tail(&self, count: usize) -> String {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last: Vec<&str> = lines.iter().skip(lines.len().saturating_sub(count)).map(String::as_str).collect();
        last.join("\n")
    }
}
