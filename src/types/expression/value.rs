//! What parts of an expression come to.

use std::{ops::Deref, rc::Rc};

use serde_json::{Map, Value as Json};

use super::evaluate::{Budget, EvaluationError};

/// Bytes of text that count as one step: comparing or copying as many costs about as much as a step of the tree.
const BYTES_PER_STEP: usize = 16;

/// A text: part of an object or of the expression, or made by it and shared, so that no copy is free.
#[derive(Debug, Clone)]
pub(super) enum Text<'a> {
    Of(&'a str),
    Made(Rc<str>),
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Of(text) => text,
            Self::Made(text) => text,
        }
    }
}

/// A value, cheap to clone. What comes from an object is borrowed from it.
#[derive(Debug, Clone)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(Text<'a>),
    List(Rc<[Value<'a>]>),
    Array(&'a [Json]),
    Object(&'a Map<String, Json>),
}

impl<'a> Value<'a> {
    pub(super) fn of(json: &'a Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(whole), _) => Self::Int(whole),
                (None, Some(double)) => Self::Double(double),
                (None, None) => Self::Null,
            },
            Json::String(text) => Self::Text(Text::Of(text)),
            Json::Array(items) => Self::Array(items),
            Json::Object(fields) => Self::Object(fields),
        }
    }

    pub(super) fn made(text: String) -> Self {
        Self::Text(Text::Made(text.into()))
    }

    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "true or false",
            Self::Int(_) => "a whole number",
            Self::Double(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) | Self::Array(_) => "a list",
            Self::Object(_) => "a map",
        }
    }

    /// Elements of a list or fields of a map; `None` where there can be none.
    pub(super) fn count(&self) -> Option<usize> {
        match self {
            Self::List(items) => Some(items.len()),
            Self::Array(items) => Some(items.len()),
            Self::Object(fields) => Some(fields.len()),
            Self::Null | Self::Bool(_) | Self::Int(_) | Self::Double(_) | Self::Text(_) => None,
        }
    }

    /// The element of a list.
    pub(super) fn element(&self, place: usize) -> Option<Value<'a>> {
        match self {
            Self::List(items) => items.get(place).cloned(),
            Self::Array(items) => items.get(place).map(Value::of),
            _ => None,
        }
    }

    /// Elements of a list or keys of a map, as macros see them.
    pub(super) fn elements(&self) -> Option<Vec<Value<'a>>> {
        match self {
            Self::List(items) => Some(items.to_vec()),
            Self::Array(items) => Some(items.iter().map(Value::of).collect()),
            Self::Object(fields) => Some(fields.keys().map(|key| Self::Text(Text::Of(key))).collect()),
            _ => None,
        }
    }

    /// Equality across kinds is false, but numbers are equal by their value.
    pub(super) fn equals(&self, other: &Self, budget: &mut Budget) -> Result<bool, EvaluationError> {
        budget.spend(1)?;
        Ok(match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Text(a), Self::Text(b)) => {
                budget.spend(a.len().min(b.len()) / BYTES_PER_STEP)?;
                **a == **b
            }
            (Self::Int(_) | Self::Double(_), Self::Int(_) | Self::Double(_)) => {
                self.order(other, budget)? == Some(std::cmp::Ordering::Equal)
            }
            (Self::List(_) | Self::Array(_), Self::List(_) | Self::Array(_)) => {
                if self.count() != other.count() {
                    return Ok(false);
                }
                for place in 0..self.count().unwrap_or(0) {
                    let (Some(a), Some(b)) = (self.element(place), other.element(place)) else { return Ok(false) };
                    if !a.equals(&b, budget)? {
                        return Ok(false);
                    }
                }
                true
            }
            (Self::Object(a), Self::Object(b)) => {
                if a.len() != b.len() {
                    return Ok(false);
                }
                for (key, value) in *a {
                    let Some(other) = b.get(key) else { return Ok(false) };
                    if !Value::of(value).equals(&Value::of(other), budget)? {
                        return Ok(false);
                    }
                }
                true
            }
            _ => false,
        })
    }

    /// `None` for what is no number, and between kinds that have no order.
    #[expect(clippy::cast_precision_loss, reason = "numbers of different kinds are compared as the language says")]
    pub(super) fn order(
        &self,
        other: &Self,
        budget: &mut Budget,
    ) -> Result<Option<std::cmp::Ordering>, EvaluationError> {
        Ok(match (self, other) {
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(b)),
            (Self::Double(a), Self::Double(b)) => a.partial_cmp(b),
            (Self::Int(a), Self::Double(b)) => (*a as f64).partial_cmp(b),
            (Self::Double(a), Self::Int(b)) => a.partial_cmp(&(*b as f64)),
            (Self::Bool(a), Self::Bool(b)) => Some(a.cmp(b)),
            (Self::Text(a), Self::Text(b)) => {
                budget.spend(a.len().min(b.len()) / BYTES_PER_STEP)?;
                Some((**a).cmp(&**b))
            }
            _ => None,
        })
    }

    /// Puts a text or a list behind another. What is made is paid for by its length, so the budget bounds memory too.
    pub(super) fn joined(&self, other: &Self, budget: &mut Budget) -> Result<Option<Value<'a>>, EvaluationError> {
        Ok(match (self, other) {
            (Self::Text(a), Self::Text(b)) => {
                budget.spend(a.len().saturating_add(b.len()) / BYTES_PER_STEP)?;
                Some(Self::made([&**a, &**b].concat()))
            }
            (Self::List(_) | Self::Array(_), Self::List(_) | Self::Array(_)) => {
                let count = self.count().unwrap_or(0).saturating_add(other.count().unwrap_or(0));
                budget.spend(count)?;
                let all = self.elements().into_iter().chain(other.elements()).flatten();
                Some(Self::List(all.collect()))
            }
            _ => None,
        })
    }
}

/// What looking through a text costs.
pub(super) fn cost_of(text: &str) -> usize {
    text.len() / BYTES_PER_STEP
}
