//! Fragments of text for persons: cleaned of what a terminal or a log would act on, and bounded.

use crate::release::{Verdict, Why};

/// Bytes of a `Why`. A condition message may hold 32 KiB, but a printer column and an event (1 KiB) show one sentence.
pub(super) const WHY_MAX_BYTES: usize = 400;

/// Bytes of the cause inside one pod: leaves room in a `Why` for the workload's own words and the pod's name.
pub(super) const POD_TEXT_MAX_BYTES: usize = 300;

const CUT_MARK: &str = "…";

/// One line without control characters, without final period, at most `max` bytes and cut between characters.
///
/// Other people's text comes in here (scheduler, kubelet, any controller), so it may be endless or try to forge lines.
pub(super) fn fragment(text: &str, max: usize) -> Box<str> {
    let mut line = String::new();
    let mut gap = false;
    for c in text.chars() {
        if c.is_whitespace() || c.is_control() || reorders(c) {
            gap = true;
            continue;
        }
        if gap && !line.is_empty() {
            line.push(' ');
        }
        gap = false;
        line.push(c);
        if line.len() > max {
            break;
        }
    }
    if line.len() > max {
        let room = max.saturating_sub(CUT_MARK.len());
        let end = (0..=room).rev().find(|at| line.is_char_boundary(*at)).unwrap_or_default();
        line.truncate(end);
        line.truncate(line.trim_end().len());
        line.push_str(CUT_MARK);
    }
    line.truncate(line.trim_end_matches('.').len());
    line.into_boxed_str()
}

/// Invisible characters that change how a line is shown: bidirectional marks and zero-width ones.
fn reorders(c: char) -> bool {
    matches!(c, '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// `head: detail`, or only `head` where there is no detail.
pub(super) fn detailed(head: &str, detail: &str) -> String {
    if detail.trim().is_empty() { head.to_owned() } else { format!("{head}: {detail}") }
}

/// `1 restart`, `4 restarts`.
pub(super) fn counted(count: i64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

pub(super) fn own(text: &str) -> Why {
    Why::own(fragment(text, WHY_MAX_BYTES))
}

pub(super) fn outside(text: &str) -> Why {
    Why::outside(fragment(text, WHY_MAX_BYTES))
}

/// On its way, with no cause outside known.
pub(super) fn progressing(text: &str) -> Verdict {
    Verdict::Progressing(own(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fragment_of_hostile_text_is_one_bounded_line() {
        assert_eq!(&*fragment("a\r\n\u{1b}[31mb\u{202e}\t c..", 100), "a [31mb c");
        assert_eq!(&*fragment("   ", 100), "");
        let cut = fragment(&"ä".repeat(1000), 300);
        assert!(cut.len() <= 300, "{} bytes", cut.len());
        assert!(cut.ends_with('…'));
        assert_eq!(fragment(&"a".repeat(300), 300).len(), 300);
    }
}
