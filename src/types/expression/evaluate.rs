//! What an expression comes to for given objects, within a budget of steps.

use std::cmp::Ordering;

use serde_json::Value as Json;

use super::{
    STEPS_MAX,
    tree::{Each, Function, Macro, Node, Operator},
    value::{Text, Value, cost_of},
};

/// Characters of a name that an error repeats: the longest label, so that the rest of the sentence has room.
const NAMED_MAX_CHARS: usize = 63;

/// Why an expression has no answer for the objects at hand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationError {
    #[error("there is no field {0:?}")]
    NoField(Box<str>),
    #[error("there is no element {0}")]
    NoElement(i64),
    #[error("{what} cannot be used with {kind}")]
    Kind { what: &'static str, kind: &'static str },
    #[error("a number is too large, or divided by zero")]
    Arithmetic,
    #[error("it takes more than {STEPS_MAX} steps")]
    TooLong,
    #[error("it gives {0}, not true or false")]
    NoAnswer(&'static str),
}

type Valued<'a> = Result<Value<'a>, EvaluationError>;

/// Steps that are left.
#[derive(Debug)]
pub(super) struct Budget(usize);

impl Budget {
    pub(super) fn spend(&mut self, steps: usize) -> Result<(), EvaluationError> {
        self.0 = self.0.checked_sub(steps).ok_or(EvaluationError::TooLong)?;
        Ok(())
    }
}

struct Run<'a> {
    budget: Budget,
    /// Names and what they stand for, the innermost last.
    scope: Vec<(&'a str, Value<'a>)>,
}

pub(super) fn evaluate(node: &Node, variables: &[(&str, &Json)]) -> Result<bool, EvaluationError> {
    let scope = variables.iter().map(|(name, json)| (*name, Value::of(json))).collect();
    let mut run = Run { budget: Budget(STEPS_MAX), scope };
    match run.value(node)? {
        Value::Bool(answer) => Ok(answer),
        other => Err(EvaluationError::NoAnswer(other.kind())),
    }
}

fn kind(what: &'static str, value: &Value<'_>) -> EvaluationError {
    EvaluationError::Kind { what, kind: value.kind() }
}

fn no_field(name: &str) -> EvaluationError {
    EvaluationError::NoField(name.chars().take(NAMED_MAX_CHARS).collect::<String>().into())
}

impl<'a> Run<'a> {
    fn value(&mut self, node: &'a Node) -> Valued<'a> {
        self.budget.spend(1)?;
        match node {
            Node::Null => Ok(Value::Null),
            Node::Bool(value) => Ok(Value::Bool(*value)),
            Node::Int(number) => Ok(Value::Int(*number)),
            Node::Double(number) => Ok(Value::Double(*number)),
            Node::Text(text) => Ok(Value::Text(Text::Of(text))),
            Node::Name(name) => self.named(name),
            Node::List(nodes) => {
                let items: Result<Vec<_>, _> = nodes.iter().map(|node| self.value(node)).collect();
                Ok(Value::List(items?.into()))
            }
            Node::Field(object, name) => match self.value(object)? {
                Value::Object(fields) => fields.get(&**name).map(Value::of).ok_or_else(|| no_field(name)),
                other => Err(kind("a field", &other)),
            },
            Node::Has(object, name) => match self.value(object)? {
                Value::Object(fields) => Ok(Value::Bool(fields.contains_key(&**name))),
                other => Err(kind("has()", &other)),
            },
            Node::Index(object, index) => self.index(object, index),
            Node::Not(inner) => Ok(Value::Bool(!self.truth("!", inner)?)),
            Node::Negate(inner) => match self.value(inner)? {
                Value::Int(number) => number.checked_neg().map(Value::Int).ok_or(EvaluationError::Arithmetic),
                Value::Double(number) => Ok(Value::Double(-number)),
                other => Err(kind("-", &other)),
            },
            Node::All(nodes) => self.decided("&&", nodes, false),
            Node::Any(nodes) => self.decided("||", nodes, true),
            Node::Binary(operator, left, right) => {
                let (left, right) = (self.value(left)?, self.value(right)?);
                self.binary(*operator, &left, &right)
            }
            Node::Choice(parts) => {
                let [condition, then, otherwise] = &**parts;
                if self.truth("?", condition)? { self.value(then) } else { self.value(otherwise) }
            }
            Node::Call(function, arguments) => self.call(*function, arguments),
            Node::Each(each) => self.each(each),
        }
    }

    /// The parser has refused names that mean nothing.
    fn named(&self, name: &str) -> Valued<'a> {
        let found = self.scope.iter().rev().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.clone()).ok_or_else(|| no_field(name))
    }

    fn truth(&mut self, what: &'static str, node: &'a Node) -> Result<bool, EvaluationError> {
        match self.value(node)? {
            Value::Bool(value) => Ok(value),
            other => Err(kind(what, &other)),
        }
    }

    /// One part that comes to `decisive` decides, even if another has no answer. Too many steps are never passed over.
    fn decided(&mut self, what: &'static str, nodes: &'a [Node], decisive: bool) -> Valued<'a> {
        let mut wrong = None;
        for node in nodes {
            match self.truth(what, node) {
                Ok(truth) if truth == decisive => return Ok(Value::Bool(decisive)),
                Ok(_) => {}
                Err(EvaluationError::TooLong) => return Err(EvaluationError::TooLong),
                Err(error) => wrong = wrong.or(Some(error)),
            }
        }
        wrong.map_or(Ok(Value::Bool(!decisive)), Err)
    }

    fn index(&mut self, object: &'a Node, index: &'a Node) -> Valued<'a> {
        let (object, index) = (self.value(object)?, self.value(index)?);
        match (&object, &index) {
            (Value::Object(fields), Value::Text(name)) => {
                fields.get(&**name).map(Value::of).ok_or_else(|| no_field(name))
            }
            (Value::List(_) | Value::Array(_), Value::Int(place)) => {
                let found = usize::try_from(*place).ok().and_then(|place| object.element(place));
                found.ok_or(EvaluationError::NoElement(*place))
            }
            (Value::Object(_) | Value::List(_) | Value::Array(_), other) | (other, _) => Err(kind("[ ]", other)),
        }
    }

    fn binary(&mut self, operator: Operator, left: &Value<'a>, right: &Value<'a>) -> Valued<'a> {
        let budget = &mut self.budget;
        let mut compared = |holds: fn(Ordering) -> bool| {
            let order = left.order(right, budget)?;
            order.map(|order| Value::Bool(holds(order))).ok_or_else(|| kind("a comparison", right))
        };
        match operator {
            Operator::Equal => left.equals(right, budget).map(Value::Bool),
            Operator::Unequal => left.equals(right, budget).map(|equal| Value::Bool(!equal)),
            Operator::Less => compared(Ordering::is_lt),
            Operator::LessOrEqual => compared(Ordering::is_le),
            Operator::Greater => compared(Ordering::is_gt),
            Operator::GreaterOrEqual => compared(Ordering::is_ge),
            Operator::In => self.contained(left, right),
            Operator::Add => match left.joined(right, budget)? {
                Some(joined) => Ok(joined),
                None => arithmetic(operator, left, right),
            },
            Operator::Subtract | Operator::Multiply | Operator::Divide | Operator::Remainder => {
                arithmetic(operator, left, right)
            }
        }
    }

    fn contained(&mut self, item: &Value<'a>, range: &Value<'a>) -> Valued<'a> {
        match (range, item) {
            (Value::Object(fields), Value::Text(key)) => Ok(Value::Bool(fields.contains_key(&**key))),
            (Value::List(_) | Value::Array(_), _) => {
                for place in 0..range.count().unwrap_or(0) {
                    let Some(element) = range.element(place) else { break };
                    if element.equals(item, &mut self.budget)? {
                        return Ok(Value::Bool(true));
                    }
                }
                Ok(Value::Bool(false))
            }
            (other, _) => Err(kind("in", other)),
        }
    }

    fn call(&mut self, function: Function, arguments: &'a [Node]) -> Valued<'a> {
        let values: Result<Vec<_>, _> = arguments.iter().map(|node| self.value(node)).collect();
        let values = values?;
        let [first, rest @ ..] = &*values else { return Err(EvaluationError::NoAnswer("nothing")) };
        if let Value::Text(text) = first {
            self.budget.spend(cost_of(text))?;
        }
        match (function, first, rest) {
            (Function::Size, Value::Text(text), _) => whole(text.chars().count()),
            (Function::Size, other, _) => other.count().map_or_else(|| Err(kind("size()", other)), whole),
            (Function::StartsWith, Value::Text(text), [Value::Text(part)]) => {
                Ok(Value::Bool(text.starts_with(&**part)))
            }
            (Function::EndsWith, Value::Text(text), [Value::Text(part)]) => Ok(Value::Bool(text.ends_with(&**part))),
            (Function::Contains, Value::Text(text), [Value::Text(part)]) => Ok(Value::Bool(text.contains(&**part))),
            (Function::ToText, Value::Text(_), _) | (Function::ToInt, Value::Int(_), _) => Ok(first.clone()),
            (Function::ToText, Value::Bool(value), _) => Ok(Value::made(value.to_string())),
            (Function::ToText, Value::Int(number), _) => Ok(Value::made(number.to_string())),
            (Function::ToInt, Value::Text(text), _) => text.parse().map(Value::Int).map_err(|_| kind("int()", first)),
            (Function::ToText | Function::ToInt, other, _) => Err(kind("a conversion", other)),
            (Function::StartsWith | Function::EndsWith | Function::Contains, text, _) => {
                Err(kind("a function of texts", rest.iter().find(|_| matches!(text, Value::Text(_))).unwrap_or(text)))
            }
        }
    }

    fn each(&mut self, each: &'a Each) -> Valued<'a> {
        let range = self.value(&each.range)?;
        // Taking the elements out costs before a step is made with any of them.
        self.budget.spend(range.count().unwrap_or(0))?;
        let elements = range.elements().ok_or_else(|| kind("a macro", &range))?;
        let (mut found, mut made, mut wrong) = (0_usize, Vec::new(), None);
        for element in elements {
            self.scope.push((&each.variable, element.clone()));
            let value = self.value(&each.body);
            self.scope.pop();
            let value = match (value, each.kind) {
                (Ok(value), Macro::Map) => {
                    made.push(value);
                    continue;
                }
                (Ok(Value::Bool(value)), _) => value,
                (Ok(other), _) => return Err(kind("a macro", &other)),
                (Err(EvaluationError::TooLong), _) => return Err(EvaluationError::TooLong),
                // As with && and ||: another element may decide.
                (Err(error), Macro::All | Macro::Exists) => {
                    wrong = wrong.or(Some(error));
                    continue;
                }
                (Err(error), Macro::ExistsOne | Macro::Filter | Macro::Map) => return Err(error),
            };
            match each.kind {
                Macro::All if !value => return Ok(Value::Bool(false)),
                Macro::Exists if value => return Ok(Value::Bool(true)),
                Macro::Filter if value => made.push(element),
                Macro::All | Macro::Exists | Macro::Filter | Macro::Map | Macro::ExistsOne => {}
            }
            found += usize::from(value);
        }
        match (each.kind, wrong) {
            (_, Some(error)) => Err(error),
            (Macro::All, None) => Ok(Value::Bool(true)),
            (Macro::Exists, None) => Ok(Value::Bool(false)),
            (Macro::ExistsOne, None) => Ok(Value::Bool(found == 1)),
            (Macro::Filter | Macro::Map, None) => Ok(Value::List(made.into())),
        }
    }
}

fn whole<'a>(count: usize) -> Valued<'a> {
    i64::try_from(count).map(Value::Int).map_err(|_| EvaluationError::Arithmetic)
}

/// Numbers of different kinds are not mixed, as the language has it.
fn arithmetic<'a>(operator: Operator, left: &Value<'a>, right: &Value<'a>) -> Valued<'a> {
    match (left, right) {
        (Value::Int(a), Value::Int(b)) => {
            let result = match operator {
                Operator::Add => a.checked_add(*b),
                Operator::Subtract => a.checked_sub(*b),
                Operator::Multiply => a.checked_mul(*b),
                Operator::Divide => a.checked_div(*b),
                _ => a.checked_rem(*b),
            };
            result.map(Value::Int).ok_or(EvaluationError::Arithmetic)
        }
        (Value::Double(a), Value::Double(b)) => match operator {
            Operator::Add => Ok(Value::Double(a + b)),
            Operator::Subtract => Ok(Value::Double(a - b)),
            Operator::Multiply => Ok(Value::Double(a * b)),
            Operator::Divide => Ok(Value::Double(a / b)),
            _ => Err(kind("%", left)),
        },
        (Value::Int(_) | Value::Double(_), other) | (other, _) => Err(kind("arithmetic", other)),
    }
}
