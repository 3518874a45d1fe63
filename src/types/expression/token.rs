//! The words of an expression.

use super::ExpressionError;

/// A word and the character at which it begins, counted from one.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) at: usize,
    pub(super) word: Word,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Word {
    Int(i64),
    Double(f64),
    Text(Box<str>),
    Name(Box<str>),
    Sign(&'static str),
    End,
}

/// Longer signs first, so that `<=` is not read as `<`.
const SIGNS: &[&str] = &[
    "&&", "||", "==", "!=", "<=", ">=", "<", ">", "!", "?", ":", "+", "-", "*", "/", "%", ".", ",", "(", ")", "[", "]",
];

pub(super) fn tokens(source: &str) -> Result<Vec<Token>, ExpressionError> {
    let chars: Vec<char> = source.chars().collect();
    let mut found = Vec::new();
    let mut place = 0;
    while let Some(&first) = chars.get(place) {
        let at = place + 1;
        let word = match first {
            _ if first.is_whitespace() => {
                place += 1;
                continue;
            }
            '"' | '\'' => text(&chars, &mut place)?,
            '0'..='9' => number(&chars, &mut place)?,
            'a'..='z' | 'A'..='Z' | '_' => {
                let name = run(&chars, &mut place, |c| c.is_ascii_alphanumeric() || c == '_');
                if matches!(chars.get(place), Some('"' | '\'')) {
                    return Err(ExpressionError::at(at, "only plain texts in quotes can be written"));
                }
                Word::Name(name.into())
            }
            _ => sign(&chars, &mut place)?,
        };
        found.push(Token { at, word });
    }
    found.push(Token { at: chars.len() + 1, word: Word::End });
    Ok(found)
}

fn run(chars: &[char], place: &mut usize, belongs: impl Fn(char) -> bool) -> String {
    let word: String = chars.iter().skip(*place).copied().take_while(|c| belongs(*c)).collect();
    *place += word.chars().count();
    word
}

fn sign(chars: &[char], place: &mut usize) -> Result<Word, ExpressionError> {
    let rest = || chars.iter().skip(*place).copied();
    let found = SIGNS.iter().find(|sign| sign.chars().eq(rest().take(sign.len())));
    let Some(sign) = found else {
        let character = chars.get(*place).copied().unwrap_or_default();
        return Err(ExpressionError::at(*place + 1, format!("{character:?} means nothing here")));
    };
    *place += sign.len();
    Ok(Word::Sign(sign))
}

fn number(chars: &[char], place: &mut usize) -> Result<Word, ExpressionError> {
    let at = *place + 1;
    let mut digits = run(chars, place, |c| c.is_ascii_digit());
    let fraction = chars.get(*place) == Some(&'.') && chars.get(*place + 1).is_some_and(char::is_ascii_digit);
    if fraction {
        *place += 1;
        digits.push('.');
        digits.push_str(&run(chars, place, |c| c.is_ascii_digit()));
    }
    if chars.get(*place).is_some_and(char::is_ascii_alphabetic) {
        return Err(ExpressionError::at(at, "only decimal numbers without exponent or suffix can be written"));
    }
    let read = if fraction { digits.parse().ok().map(Word::Double) } else { digits.parse().ok().map(Word::Int) };
    read.ok_or_else(|| ExpressionError::at(at, "this number is too large"))
}

fn text(chars: &[char], place: &mut usize) -> Result<Word, ExpressionError> {
    let at = *place + 1;
    let unfinished = || ExpressionError::at(at, "this text has no end");
    let quote = chars.get(*place).copied().unwrap_or_default();
    *place += 1;
    let mut text = String::new();
    loop {
        let next = chars.get(*place).copied().ok_or_else(unfinished)?;
        *place += 1;
        match next {
            '\n' => return Err(unfinished()),
            '\\' => {
                let escaped = chars.get(*place).copied().ok_or_else(unfinished)?;
                *place += 1;
                text.push(match escaped {
                    'n' => '\n',
                    't' => '\t',
                    '\\' | '"' | '\'' => escaped,
                    _ => return Err(ExpressionError::at(*place - 1, format!("\\{escaped} is not known in a text"))),
                });
            }
            _ if next == quote => return Ok(Word::Text(text.into())),
            _ => text.push(next),
        }
    }
}
