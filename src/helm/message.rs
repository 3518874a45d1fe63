//! helm's words made fit for a status, an event or a log: short, printable, on one line, without secret values.
//!
//! What helm prints is untrusted: parts of it come from charts, values, webhooks and containers. Errors of parsers and
//! of the API server repeat the value they dislike, so such values are cut out by the shape of the message; a line
//! that could be a piece of a manifest ends the message.

/// Longest message, in bytes. A condition may hold 32 KiB, but several messages share an object and a line of a table.
const MESSAGE_BYTES_MAX: usize = 600;
/// Bytes of raw text that are looked at. The first lines name the cause; the rest repeats it per object.
const RAW_BYTES_MAX: usize = 16 * 1024;
/// A word this long of mixed letters and digits is a token or base64, not a name: names are of lower case.
const TOKEN_CHARS_MIN: usize = 32;
/// Stands for what was cut out.
const VALUE: &str = "<value>";

/// helm's error: from the last line that begins with `Error: ` to the end or to a stack trace, without that prefix and
/// without those that only repeat which command was run.
pub(super) fn error_block(stderr: &str) -> Option<&str> {
    const PREFIX: &str = "Error: ";
    let start = if stderr.starts_with(PREFIX) { Some(0) } else { None };
    let start = stderr.rfind("\nError: ").map(|newline| newline + 1).or(start)?;
    let block = &stderr[start + PREFIX.len()..];
    // helm 3 with --debug adds the error once more, with a stack.
    let block = block.find(" [debug] ").map_or(block, |at| block[..at].rsplit_once('\n').map_or("", |cut| cut.0));
    let mut block = block.trim();
    while let Some(rest) = ["INSTALLATION FAILED: ", "UPGRADE FAILED: "].iter().find_map(|p| block.strip_prefix(p)) {
        block = rest;
    }
    Some(block)
}

/// Why an uninstall could not delete objects: helm says that at debug level only.
pub(super) fn deletion_errors(stderr: &str) -> Option<String> {
    let line = stderr.lines().rfind(|line| line.contains("uninstall: Failed to delete release"))?;
    if let Some((_, cause)) = line.split_once("Failed to delete release: ") {
        return Some(cause.to_owned());
    }
    // helm 4 quotes as Go does.
    let (_, cause) = line.split_once(" error=")?;
    Some(cause.trim().trim_matches('"').replace("\\\"", "\""))
}

/// One printable line of at most [`MESSAGE_BYTES_MAX`] bytes.
pub(super) fn clean(raw: &str) -> String {
    let mut message = String::new();
    for (index, line) in bounded(raw, RAW_BYTES_MAX).lines().enumerate() {
        let line = printable(line);
        let line = line.trim();
        if line.is_empty() || line.starts_with("Use --debug flag") {
            continue;
        }
        if line.starts_with("-----BEGIN") || (index > 0 && looks_like_yaml(line)) {
            break;
        }
        if !message.is_empty() {
            message.push_str(if message.ends_with(':') { " " } else { "; " });
        }
        message.push_str(&without_tokens(&without_values(line)));
    }
    if message.len() > MESSAGE_BYTES_MAX {
        message.truncate(bounded(&message, MESSAGE_BYTES_MAX - '…'.len_utf8()).len());
        message.push('…');
    }
    message
}

/// The longest start of `text` of at most `bytes` bytes that ends between two characters.
fn bounded(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|&end| text.is_char_boundary(end));
    &text[..end.unwrap_or_default()]
}

/// Without control characters, terminal sequences, and marks that change the direction or hide text.
fn printable(line: &str) -> String {
    let mut shown = String::with_capacity(line.len());
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' if chars.next_if_eq(&'[').is_some() => {
                // Up to and with the letter that ends the sequence.
                while chars.next().is_some_and(|c| !c.is_ascii_alphabetic()) {}
            }
            '\t' => shown.push(' '),
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' => {}
            c if c.is_control() => {}
            c => shown.push(c),
        }
    }
    shown
}

/// A line such as `password: x`, `- name: y`, `data:` or `---`: perhaps a piece of a manifest. The list of a failed
/// check of values has the name of the chart on such a line, and is told by its ending in the chart's name alone.
fn looks_like_yaml(line: &str) -> bool {
    let item = line.strip_prefix("- ").unwrap_or(line);
    let Some((key, rest)) = item.split_once(':') else { return line.starts_with("---") };
    let word = !key.is_empty() && !key.contains(char::is_whitespace) && !key.starts_with('/');
    let chart = rest.is_empty() && item.len() == line.len() && !matches!(key, "data" | "stringData");
    word && !chart && (rest.is_empty() || rest.starts_with(' '))
}

/// Marks after which a message repeats a value, and how the value ends.
const REPEATED: &[(&str, End)] = &[
    ("Invalid value: ", End::GoValue),
    ("Unsupported value: ", End::GoValue),
    ("Duplicate value: ", End::GoValue),
    ("range can't iterate over ", End::Line),
    ("byte of ...|", End::Line),
    // Server-side apply, of a field of the wrong type.
    (", got &value.", End::Line),
    ("cannot unmarshal !!", End::Quoted),
    ("parsing ", End::Quoted),
    ("cannot parse ", End::Quoted),
    ("unrecognized type: ", End::Line),
];

#[derive(Clone, Copy)]
enum End {
    /// A value as Go prints it, up to the next `: ` outside of quotes and brackets.
    GoValue,
    /// Everything.
    Line,
    /// All that is in quotes from there on.
    Quoted,
}

fn without_values(line: &str) -> String {
    let mut shown = without_checked_values(line);
    for &(mark, end) in REPEATED {
        let mut from = 0;
        while let Some(at) = shown.get(from..).and_then(|rest| rest.find(mark)) {
            let start = from + at + mark.len();
            match end {
                End::GoValue => {
                    let length = go_value_length(&shown[start..]);
                    shown.replace_range(start..start + length, VALUE);
                    from = start + VALUE.len();
                }
                End::Line => {
                    shown.replace_range(start.., VALUE);
                    break;
                }
                End::Quoted => {
                    let rest = without_quoted(&shown[start..]);
                    shown.replace_range(start.., &rest);
                    break;
                }
            }
        }
    }
    // What a function of a template dislikes, it repeats in quotes; the places before are the chart's own text.
    if let Some(at) = shown.rfind("error calling ") {
        let rest = without_quoted(&shown[at..]);
        shown.replace_range(at.., &rest);
    }
    shown
}

/// A line of a failed check of values: `- at '/path': 'value' does not match pattern '…'`.
fn without_checked_values(line: &str) -> String {
    let Some((place, said)) = line.strip_prefix("- at '").and_then(|rest| rest.split_once("': ")) else {
        return line.to_owned();
    };
    let said = if let Some(at) = said.rfind(" does not match pattern ").or_else(|| said.rfind(" is not valid ")) {
        let rule = &said[at..];
        // The reason after the rule may repeat the value once more.
        let rule = if rule.starts_with(" is not valid ") { rule.split(':').next().unwrap_or(rule) } else { rule };
        format!("{VALUE}{rule}")
    } else if let Some((rule, limit)) = said.split_once(": got ").filter(|(rule, _)| rule.ends_with("imum")) {
        format!("{rule}: got {VALUE}{}", limit.find(", want").map_or("", |at| &limit[at..]))
    } else {
        said.to_owned()
    };
    format!("- at '{place}': {said}")
}

/// Bytes of the value that `text` begins with, as Go prints it; all of it where no end is found.
fn go_value_length(text: &str) -> usize {
    let (mut depth, mut quote, mut escaped) = (0_usize, None, false);
    for (at, c) in text.char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some('"') if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None => match c {
                '"' | '`' => quote = Some(c),
                '{' | '[' | '(' => depth += 1,
                '}' | ']' | ')' => depth = depth.saturating_sub(1),
                ':' if depth == 0 && text[at..].starts_with(": ") => return at,
                _ => {}
            },
        }
    }
    text.len()
}

/// `text` with everything in double quotes or backticks replaced. An open quote runs to the end.
fn without_quoted(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find(['"', '`']) {
        shown.push_str(&rest[..open]);
        shown.push_str(VALUE);
        let quote = &rest[open..=open];
        let inside = &rest[open + 1..];
        rest = closing(inside, quote).map_or("", |end| &inside[end + 1..]);
    }
    shown.push_str(rest);
    shown
}

fn closing(inside: &str, quote: &str) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = inside.get(from..)?.find(quote).map(|at| from + at) {
        let slashes = inside[..at].bytes().rev().take_while(|byte| *byte == b'\\').count();
        if slashes % 2 == 0 || quote == "`" {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

/// Without words that can only be tokens, keys or base64 of something.
fn without_tokens(line: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '_');
    let mut shown = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(start) = rest.find(is_part) {
        shown.push_str(&rest[..start]);
        let word = &rest[start..];
        let (word, tail) = word.split_at(word.find(|c| !is_part(c)).unwrap_or(word.len()));
        shown.push_str(if is_token(word) { VALUE } else { word });
        rest = tail;
    }
    shown.push_str(rest);
    shown
}

fn is_token(word: &str) -> bool {
    let has = |kind: fn(&char) -> bool| word.chars().any(|c| kind(&c));
    word.len() >= TOKEN_CHARS_MIN
        && has(char::is_ascii_digit)
        && has(char::is_ascii_uppercase)
        && has(char::is_ascii_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_errors_repeat_are_cut_out() {
        for (raw, expected) in [
            (
                r#"Secret "x" is invalid: data[a]: Invalid value: "hunter2: \"x": must be short"#,
                r#"Secret "x" is invalid: data[a]: Invalid value: <value>: must be short"#,
            ),
            (
                r#"spec.selector: Invalid value: v1.LabelSelector{M:map[string]string{"a":"hunter2"}}: field is immutable"#,
                "spec.selector: Invalid value: <value>: field is immutable",
            ),
            ("a: Invalid value: map[password:hunter2", "a: Invalid value: <value>"),
            (
                r#"a: Unsupported value: "hunter2": supported values: "A""#,
                r#"a: Unsupported value: <value>: supported values: "A""#,
            ),
            (
                "yaml: line 3: cannot unmarshal !!str `hunter2` into int",
                "yaml: line 3: cannot unmarshal !!str <value> into int",
            ),
            (
                "v1.Secret.Data: base64, error found in #10 byte of ...|hunter2\"|...",
                "v1.Secret.Data: base64, error found in #10 byte of ...|<value>",
            ),
            (
                r#"at <atoi .Values.x>: error calling atoi: strconv: parsing "hunter2": bad"#,
                "at <atoi .Values.x>: error calling atoi: strconv: parsing <value>: bad",
            ),
            ("- at '/n': maximum: got 4711, want 3", "- at '/n': maximum: got <value>, want 3"),
            ("- at '/m': 'hunter2' is not valid email: missing @ in hunter2", "- at '/m': <value> is not valid email"),
            ("token eyJhbGciOiJSUzI1NiIsImtpZCI6IjEyMzQ1Njc4OTAifQ.abc is bad", "token <value>.abc is bad"),
        ] {
            assert_eq!(clean(raw), expected);
            assert!(!clean(raw).contains("hunter2"));
        }
    }

    #[test]
    fn what_could_be_a_manifest_ends_the_message() {
        for fragment in [
            "stringData:\n  a: hunter2",
            "password: hunter2",
            "- name: hunter2",
            "---\nhunter2",
            "-----BEGIN X\nhunter2",
        ] {
            assert_eq!(clean(&format!("error converting YAML to JSON:\n{fragment}")), "error converting YAML to JSON:");
        }
    }

    #[test]
    fn message_is_one_printable_line() {
        assert_eq!(
            clean("1 error occurred:\n\t* job \u{1b}[31mx\u{1b}[0m failed\u{202e}\u{7}\n\n"),
            "1 error occurred: * job x failed"
        );
        assert_eq!(clean("a\r\nb"), "a; b");
    }

    #[test]
    fn message_is_bounded_on_a_character_boundary() {
        let message = clean(&"ä ".repeat(50_000));
        assert!(message.len() <= MESSAGE_BYTES_MAX && message.ends_with('…'));
    }

    #[test]
    fn ordinary_names_and_digests_stay() {
        let text =
            "pod unicorn-7d9f8b6c5d-x2x4z sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        assert_eq!(clean(text), text);
    }
}
