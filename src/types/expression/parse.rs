//! From words to a tree, by recursive descent with a bound on how deep it goes.

use super::{
    DEPTH_MAX, ExpressionError,
    token::{Token, Word, tokens},
    tree::{Each, Function, Macro, Node, Operator},
};

type Parsed = Result<Node, ExpressionError>;

/// Words of the language that cannot be names.
const RESERVED: &[&str] = &["true", "false", "null", "in"];

struct Parser {
    tokens: Vec<Token>,
    place: usize,
    nesting: usize,
    /// Names that mean something here.
    names: Vec<Box<str>>,
}

/// Reads an expression in which `names` are known.
pub(super) fn parse(source: &str, names: &[&str]) -> Parsed {
    let names = names.iter().map(|name| Box::from(*name)).collect();
    let mut parser = Parser { tokens: tokens(source)?, place: 0, nesting: 0, names };
    let node = parser.expression()?;
    match parser.peek() {
        Word::End => Ok(node),
        word => Err(parser.error(format!("{} does not belong here", said(word)))),
    }
}

fn said(word: &Word) -> String {
    match word {
        Word::Int(number) => number.to_string(),
        Word::Double(number) => number.to_string(),
        Word::Text(text) => format!("{text:?}"),
        Word::Name(name) => format!("{name:?}"),
        Word::Sign(sign) => format!("{sign:?}"),
        Word::End => "the end".to_owned(),
    }
}

impl Parser {
    fn peek(&self) -> &Word {
        self.tokens.get(self.place).map_or(&Word::End, |token| &token.word)
    }

    fn at(&self) -> usize {
        self.tokens.get(self.place).or(self.tokens.last()).map_or(1, |token| token.at)
    }

    fn error(&self, problem: impl Into<Box<str>>) -> ExpressionError {
        ExpressionError::at(self.at(), problem)
    }

    /// Takes one of the signs, if it is next.
    fn sign(&mut self, signs: &[&'static str]) -> Option<&'static str> {
        match self.peek() {
            Word::Sign(found) if signs.contains(found) => {
                let found = *found;
                self.place += 1;
                Some(found)
            }
            _ => None,
        }
    }

    fn expect(&mut self, sign: &'static str) -> Result<(), ExpressionError> {
        match self.sign(&[sign]) {
            Some(_) => Ok(()),
            None => Err(self.error(format!("{sign:?} is missing before {}", said(self.peek())))),
        }
    }

    fn name(&mut self) -> Result<Box<str>, ExpressionError> {
        match self.peek().clone() {
            Word::Name(name) => {
                self.place += 1;
                Ok(name)
            }
            word => Err(self.error(format!("a name is missing before {}", said(&word)))),
        }
    }

    fn expression(&mut self) -> Parsed {
        self.nesting += 1;
        if self.nesting > DEPTH_MAX {
            return Err(self.error(format!("nested more than {DEPTH_MAX} deep")));
        }
        let condition = self.any()?;
        let node = if self.sign(&["?"]).is_some() {
            let then = self.any()?;
            self.expect(":")?;
            Node::Choice(Box::new([condition, then, self.expression()?]))
        } else {
            condition
        };
        self.nesting -= 1;
        Ok(node)
    }

    fn any(&mut self) -> Parsed {
        let mut nodes = vec![self.all()?];
        while self.sign(&["||"]).is_some() {
            nodes.push(self.all()?);
        }
        Ok(if nodes.len() > 1 { Node::Any(nodes) } else { nodes.swap_remove(0) })
    }

    fn all(&mut self) -> Parsed {
        let mut nodes = vec![self.relation()?];
        while self.sign(&["&&"]).is_some() {
            nodes.push(self.relation()?);
        }
        Ok(if nodes.len() > 1 { Node::All(nodes) } else { nodes.swap_remove(0) })
    }

    fn relation(&mut self) -> Parsed {
        let mut left = self.sum()?;
        loop {
            let is_in = matches!(self.peek(), Word::Name(name) if **name == *"in");
            let operator = if is_in {
                self.place += 1;
                Operator::In
            } else {
                match self.sign(&["==", "!=", "<=", ">=", "<", ">"]) {
                    Some("==") => Operator::Equal,
                    Some("!=") => Operator::Unequal,
                    Some("<=") => Operator::LessOrEqual,
                    Some(">=") => Operator::GreaterOrEqual,
                    Some("<") => Operator::Less,
                    Some(_) => Operator::Greater,
                    None => return Ok(left),
                }
            };
            left = Node::Binary(operator, Box::new(left), Box::new(self.sum()?));
        }
    }

    fn sum(&mut self) -> Parsed {
        let mut left = self.product()?;
        while let Some(sign) = self.sign(&["+", "-"]) {
            let operator = if sign == "+" { Operator::Add } else { Operator::Subtract };
            left = Node::Binary(operator, Box::new(left), Box::new(self.product()?));
        }
        Ok(left)
    }

    fn product(&mut self) -> Parsed {
        let mut left = self.unary()?;
        while let Some(sign) = self.sign(&["*", "/", "%"]) {
            let operator = match sign {
                "*" => Operator::Multiply,
                "/" => Operator::Divide,
                _ => Operator::Remainder,
            };
            left = Node::Binary(operator, Box::new(left), Box::new(self.unary()?));
        }
        Ok(left)
    }

    /// Signs in a row are taken in a loop: they need no stack.
    fn unary(&mut self) -> Parsed {
        let mut signs = Vec::new();
        while let Some(sign) = self.sign(&["!", "-"]) {
            signs.push(sign);
        }
        let mut node = self.postfix()?;
        while let Some(sign) = signs.pop() {
            let inner = Box::new(node);
            node = if sign == "!" { Node::Not(inner) } else { Node::Negate(inner) };
        }
        Ok(node)
    }

    fn postfix(&mut self) -> Parsed {
        let mut node = self.primary()?;
        loop {
            if self.sign(&["["]).is_some() {
                let index = self.expression()?;
                self.expect("]")?;
                node = Node::Index(Box::new(node), Box::new(index));
            } else if self.sign(&["."]).is_some() {
                let called = matches!(self.tokens.get(self.place + 1), Some(Token { word: Word::Sign("("), .. }));
                let at = self.at();
                let name = self.name()?;
                node = if called { self.method(node, &name, at)? } else { Node::Field(Box::new(node), name) };
            } else {
                return Ok(node);
            }
        }
    }

    fn method(&mut self, receiver: Node, name: &str, at: usize) -> Parsed {
        self.expect("(")?;
        if let Some(kind) = Macro::named(name) {
            let variable_at = self.at();
            let variable = self.name()?;
            if RESERVED.contains(&&*variable) {
                return Err(ExpressionError::at(variable_at, format!("{variable:?} cannot be a name")));
            }
            self.expect(",")?;
            self.names.push(variable.clone());
            let body = self.expression()?;
            self.names.pop();
            self.expect(")")?;
            return Ok(Node::Each(Box::new(Each { kind, range: receiver, variable, body })));
        }
        let Some((function, expected)) = Function::method(name) else {
            return Err(ExpressionError::at(at, format!("there is no function {name:?} to call on something")));
        };
        let mut arguments = vec![receiver];
        arguments.extend(self.list(")")?);
        if arguments.len() != expected + 1 {
            return Err(ExpressionError::at(at, format!("{name} takes {expected} arguments")));
        }
        Ok(Node::Call(function, arguments))
    }

    fn list(&mut self, end: &'static str) -> Result<Vec<Node>, ExpressionError> {
        let mut nodes = Vec::new();
        if self.sign(&[end]).is_some() {
            return Ok(nodes);
        }
        loop {
            nodes.push(self.expression()?);
            if self.sign(&[","]).is_none() {
                self.expect(end)?;
                return Ok(nodes);
            }
        }
    }

    fn primary(&mut self) -> Parsed {
        let at = self.at();
        let word = self.peek().clone();
        let problem = match &word {
            Word::Int(_) | Word::Double(_) | Word::Text(_) | Word::Name(_) | Word::Sign("(" | "[") => None,
            word => Some(format!("a value is missing before {}", said(word))),
        };
        if let Some(problem) = problem {
            return Err(self.error(problem));
        }
        self.place += 1;
        match word {
            Word::Int(number) => Ok(Node::Int(number)),
            Word::Double(number) => Ok(Node::Double(number)),
            Word::Text(text) => Ok(Node::Text(text)),
            Word::Name(name) => self.named(name, at),
            Word::Sign("[") => Ok(Node::List(self.list("]")?)),
            Word::Sign(_) | Word::End => {
                let node = self.expression()?;
                self.expect(")")?;
                Ok(node)
            }
        }
    }

    fn named(&mut self, name: Box<str>, at: usize) -> Parsed {
        if self.sign(&["("]).is_some() {
            return self.call(&name, at);
        }
        match &*name {
            "true" => Ok(Node::Bool(true)),
            "false" => Ok(Node::Bool(false)),
            "null" => Ok(Node::Null),
            _ if self.names.contains(&name) => Ok(Node::Name(name)),
            _ => Err(ExpressionError::at(at, format!("{name:?} is not known; there are {}", self.names.join(", ")))),
        }
    }

    fn call(&mut self, name: &str, at: usize) -> Parsed {
        let mut arguments = self.list(")")?;
        let argument = if arguments.len() == 1 { arguments.pop() } else { None };
        match (name, Function::named(name), argument) {
            ("has", _, Some(Node::Field(object, field))) => Ok(Node::Has(object, field)),
            ("has", ..) => Err(ExpressionError::at(at, "has() takes one field, as in has(dep.status.deployed)")),
            (_, Some(function), Some(argument)) => Ok(Node::Call(function, vec![argument])),
            (_, Some(_), None) => Err(ExpressionError::at(at, format!("{name} takes 1 argument"))),
            (_, None, _) => Err(ExpressionError::at(at, format!("there is no function {name:?}"))),
        }
    }
}
