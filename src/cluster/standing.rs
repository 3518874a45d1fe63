//! How far the picture of one watch can be trusted.

use jiff::Timestamp;

use super::watch::Change;
use crate::release::View;

/// The state of one watch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Standing {
    /// The first list is not complete: nothing can be said, least of all that something is absent.
    #[default]
    Unlisted,
    Live {
        since: Timestamp,
    },
    /// Lost a moment ago. The last picture still counts, so that a short break does not turn every status around, but
    /// no time counts against anybody.
    Interrupted,
    /// Lost for long.
    Dark,
    Refused(Box<str>),
}

impl Standing {
    /// Follows the watch. True if it says something else than before.
    pub(super) fn turn<K>(&mut self, change: &Change<K>) -> bool {
        let next = match (change, &self) {
            (Change::Complete { at, .. } | Change::Opened { at }, Self::Unlisted | Self::Interrupted | Self::Dark)
            | (Change::Complete { at, .. }, Self::Refused(_)) => Self::Live { since: *at },
            (Change::Lost, Self::Live { .. }) => Self::Interrupted,
            (Change::Dark, Self::Live { .. } | Self::Interrupted) => Self::Dark,
            (Change::Refused(why), _) => Self::Refused(why.clone()),
            _ => return false,
        };
        let changed = *self != next;
        *self = next;
        changed
    }

    /// What a look-up may say of a thing, `found` being what the picture holds.
    pub(super) fn view<T>(&self, found: T) -> View<T> {
        match self {
            Self::Unlisted | Self::Dark => View::Pending,
            Self::Live { .. } | Self::Interrupted => View::Is(found),
            Self::Refused(why) => View::Refused(why.clone()),
        }
    }

    pub(super) fn since(&self) -> Option<Timestamp> {
        match self {
            Self::Live { since } => Some(*since),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn standing_follows_a_watch_through_loss_and_return() {
        let mut standing = Standing::default();
        assert_eq!(standing.view(()), View::Pending);
        assert!(!standing.turn::<()>(&Change::Begin));
        assert!(standing.turn::<()>(&Change::Complete { at: at(1), version: 5 }));
        assert!(!standing.turn::<()>(&Change::Opened { at: at(2) }), "opening what is live changes nothing");
        assert_eq!(standing.since(), Some(at(1)));
        standing.turn::<()>(&Change::Lost);
        assert_eq!((standing.view(()), standing.since()), (View::Is(()), None));
        standing.turn::<()>(&Change::Dark);
        assert_eq!(standing.view(()), View::Pending);
        standing.turn::<()>(&Change::Opened { at: at(9) });
        assert_eq!((standing.view(()), standing.since()), (View::Is(()), Some(at(9))));
    }

    #[test]
    fn refused_watch_is_live_only_after_a_new_list() {
        let mut standing = Standing::Refused("no".into());
        standing.turn::<()>(&Change::Lost);
        assert_eq!(standing.view(()), View::Refused("no".into()));
        standing.turn::<()>(&Change::Complete { at: at(1), version: 5 });
        assert_eq!(standing.view(()), View::Is(()));
    }
}
