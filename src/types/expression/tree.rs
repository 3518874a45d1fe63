//! An expression as a tree.

/// A part of an expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(Box<str>),
    Name(Box<str>),
    List(Vec<Node>),
    Field(Box<Node>, Box<str>),
    Has(Box<Node>, Box<str>),
    Index(Box<Node>, Box<Node>),
    Not(Box<Node>),
    Negate(Box<Node>),
    /// All must hold; one that is false decides, whatever is wrong with the others.
    All(Vec<Node>),
    /// One must hold; one that is true decides, whatever is wrong with the others.
    Any(Vec<Node>),
    Binary(Operator, Box<Node>, Box<Node>),
    /// Condition, then, otherwise.
    Choice(Box<[Node; 3]>),
    Call(Function, Vec<Node>),
    Each(Box<Each>),
}

/// A macro: something is done with each element of a list, or with each key of a map.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Each {
    pub(super) kind: Macro,
    pub(super) range: Node,
    pub(super) variable: Box<str>,
    pub(super) body: Node,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Macro {
    All,
    Exists,
    ExistsOne,
    Filter,
    Map,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Size,
    StartsWith,
    EndsWith,
    Contains,
    ToText,
    ToInt,
}

impl Macro {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "all" => Self::All,
            "exists" => Self::Exists,
            "exists_one" => Self::ExistsOne,
            "filter" => Self::Filter,
            "map" => Self::Map,
            _ => return None,
        })
    }
}

impl Function {
    /// As called with a receiver: the function, and how many arguments it takes besides.
    pub(super) fn method(name: &str) -> Option<(Self, usize)> {
        Some(match name {
            "size" => (Self::Size, 0),
            "startsWith" => (Self::StartsWith, 1),
            "endsWith" => (Self::EndsWith, 1),
            "contains" => (Self::Contains, 1),
            _ => return None,
        })
    }

    /// As called by its name alone, with one argument.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "size" => Self::Size,
            "string" => Self::ToText,
            "int" => Self::ToInt,
            _ => return None,
        })
    }
}

impl Node {
    /// How deep the tree is below and including this node.
    pub(super) fn depth(&self) -> usize {
        let deepest = |nodes: &[Self]| nodes.iter().map(Self::depth).max().unwrap_or(0);
        1 + match self {
            Self::Null | Self::Bool(_) | Self::Int(_) | Self::Double(_) | Self::Text(_) | Self::Name(_) => 0,
            Self::List(nodes) | Self::All(nodes) | Self::Any(nodes) | Self::Call(_, nodes) => deepest(nodes),
            Self::Field(node, _) | Self::Has(node, _) | Self::Not(node) | Self::Negate(node) => node.depth(),
            Self::Index(left, right) | Self::Binary(_, left, right) => left.depth().max(right.depth()),
            Self::Choice(parts) => deepest(&**parts),
            Self::Each(each) => each.range.depth().max(each.body.depth()),
        }
    }
}
