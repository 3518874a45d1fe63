//! What can be said of a thing that is watched: absence is a fact only after the first complete list.

use serde::{Deserialize, Serialize};

/// The answer of an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum View<T> {
    /// The first list is not complete, or the watch was lost: nothing can be said.
    Pending,
    /// The API server refuses the watch; says why.
    Refused(Box<str>),
    Is(T),
}

impl<T> View<T> {
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> View<U> {
        match self {
            Self::Pending => View::Pending,
            Self::Refused(why) => View::Refused(why),
            Self::Is(value) => View::Is(change(value)),
        }
    }

    pub fn is(&self) -> Option<&T> {
        match self {
            Self::Is(value) => Some(value),
            Self::Pending | Self::Refused(_) => None,
        }
    }
}
