//! Bounded, printable text: what goes into status and events may come from charts, helm and other programs.

/// Cuts to `max` bytes on a character boundary and replaces control characters, so that no terminal is driven by them.
pub fn bounded(text: &str, max: usize) -> String {
    const ELLIPSIS: &str = "…";
    let mut out = String::with_capacity(text.len().min(max));
    for c in text.chars() {
        let c = if c.is_control() { ' ' } else { c };
        if out.len() + c.len_utf8() + ELLIPSIS.len() > max {
            out.push_str(ELLIPSIS);
            return out;
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_between_characters_and_cleaned() {
        assert_eq!(bounded("a\x1b[31mb\n", 100), "a [31mb ");
        let cut = bounded(&"ü".repeat(100), 20);
        assert!(cut.len() <= 20 && cut.ends_with('…'));
    }
}
