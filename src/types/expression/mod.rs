//! Conditions that users write, in CEL: <https://cel.dev>. Bounded in length, depth, steps and memory.
//!
//! What is written here means what it means in CEL; what is missing is refused with its place when it is read, never
//! understood differently. There are: `null`, truths, decimal numbers, texts in quotes, lists; fields, `[ ]`, `has()`;
//! `&& || ! ?:` with CEL's rule that a part which decides wins over one without an answer; `== != < <= > >= in`;
//! `+ - * / %`; `size`, `startsWith`, `endsWith`, `contains`, `string`, `int`; the macros `all`, `exists`,
//! `exists_one`, `filter` and `map` with one variable and one body. Missing: map literals, unsigned numbers, bytes,
//! `double`, times, `matches`.
//!
//! Why not the crate `cel`, which kube carries: nothing in it bounds an evaluation (neither 0.13 nor 0.15 counts steps
//! or looks at a clock), and its parser needs so much stack that 33 characters, sixteen brackets around a 1, end the
//! whole process on a thread of 2 MiB in a debug build; that cannot be caught. Six nested macros over ten elements
//! (184 characters) took 4 s, and 24 doublings of a text (293 characters) 8 s with as much memory. Its tree also
//! brings twenty packages: a parser generator's runtime, `chrono`, `uuid`, a second `thiserror` and more.

mod evaluate;
mod parse;
#[cfg(test)]
mod tests;
mod token;
mod tree;
mod value;

use serde_json::Value as Json;

pub use evaluate::EvaluationError;

/// Longest expression, in characters.
pub const EXPRESSION_MAX_CHARS: usize = 1024;
/// How deep an expression may be: some kilobytes of stack for each level, on threads that have two megabytes.
const DEPTH_MAX: usize = 32;
/// Steps of one evaluation: a few milliseconds, and far beyond a look at every field of an object.
const STEPS_MAX: usize = 100_000;

/// Why an expression is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at character {at}: {problem}")]
pub struct ExpressionError {
    /// Counted from one.
    pub at: usize,
    pub problem: Box<str>,
}

impl ExpressionError {
    fn at(at: usize, problem: impl Into<Box<str>>) -> Self {
        Self { at, problem: problem.into() }
    }
}

/// A condition that has been read.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression(tree::Node);

impl Expression {
    /// Reads an expression in which `names` stand for objects.
    pub fn parse(source: &str, names: &[&str]) -> Result<Self, ExpressionError> {
        if source.chars().nth(EXPRESSION_MAX_CHARS).is_some() {
            return Err(ExpressionError::at(
                EXPRESSION_MAX_CHARS + 1,
                format!("longer than {EXPRESSION_MAX_CHARS} characters"),
            ));
        }
        let node = parse::parse(source, names)?;
        if node.depth() > DEPTH_MAX {
            return Err(ExpressionError::at(1, format!("more than {DEPTH_MAX} operations depend on each other")));
        }
        Ok(Self(node))
    }

    /// Whether it holds. `variables` are the names that it was read with.
    pub fn holds(&self, variables: &[(&str, &Json)]) -> Result<bool, EvaluationError> {
        evaluate::evaluate(&self.0, variables)
    }
}
