//! What others do to a release and to its objects.

use super::{
    Act::{By, Happens, Mark, Run, Tells, There},
    Ask::{Install, Replace, Rollback, Uninstall, Upgrade, With},
    Deed::{Deletes, IsTaken, Makes, NamespaceEnds, NamespaceGone},
    Flavour::{Invalid, Keeps, One, Three, Two},
    Hand,
    How::{NewNamespace, Taking},
    Part::{Extra, Kept, Page},
    Story,
};

pub(super) const STORIES: &[Story] = &[
    Story {
        name: "upgrades_by_hand_copy_the_labels_of_what_was_newest",
        acts: &[
            Run(Install(One), "succeeded", "1 deployed s1"),
            Mark(1),
            By(Hand::Upgrade(Two), "1 superseded s1 v1, 2 deployed s1 v1"),
            Tells("1.1.0 deployed"),
            Run(Upgrade(Three), "succeeded", "1 superseded s1 v1, 2 superseded s1 v1, 3 deployed s3 v1"),
            By(Hand::Upgrade(Invalid), "1 superseded s1 v1, 2 superseded s1 v1, 3 deployed s3 v1, 4 failed s3 v1"),
            // Of what is newest, not of what is deployed.
            By(
                Hand::Upgrade(One),
                "1 superseded s1 v1, 2 superseded s1 v1, 3 superseded s3 v1, 4 failed s3 v1, 5 deployed s3 v1",
            ),
        ],
    },
    Story {
        name: "rollbacks_by_hand_tell_where_they_go_back_to",
        acts: &[
            Run(Install(One), "succeeded", "1 deployed s1"),
            Run(Upgrade(Two), "succeeded", "1 superseded s1, 2 deployed s2"),
            By(Hand::Rollback(1), "1 superseded s1, 2 superseded s2, 3 deployed s1"),
            Tells("1.0.0 deployed, back to 1"),
            By(Hand::Upgrade(Three), "1 superseded s1, 2 superseded s2, 3 superseded s1, 4 deployed s1"),
            Tells("1.2.0 deployed"),
        ],
    },
    Story {
        name: "removals_by_hand_leave_nothing",
        acts: &[
            Run(Install(One), "succeeded", "1 deployed s1"),
            By(Hand::Uninstall { keep_history: false }, ""),
            There(""),
        ],
    },
    Story {
        name: "removals_that_keep_history_are_installed_over",
        acts: &[
            Run(Install(One), "succeeded", "1 deployed s1"),
            Run(Upgrade(Two), "succeeded", "1 superseded s1, 2 deployed s2"),
            By(Hand::Uninstall { keep_history: true }, "1 superseded s1, 2 uninstalled s2"),
            There(""),
            Run(Upgrade(Two), "failed NotFound", "1 superseded s1, 2 uninstalled s2"),
            Run(Install(Two), "failed LostRace", "1 superseded s1, 2 uninstalled s2"),
            Run(Replace(Invalid), "failed Invalid", "1 superseded s1, 2 superseded s2, 3 failed s3"),
            Run(Replace(Two), "succeeded", "1 superseded s1, 2 superseded s2, 3 failed s3, 4 deployed s4"),
            There("Page 1.1.0, Extra 1.1.0"),
        ],
    },
    Story {
        name: "removals_that_keep_history_can_be_rolled_back",
        acts: &[
            Run(Install(One), "succeeded", "1 deployed s1"),
            By(Hand::Uninstall { keep_history: true }, "1 uninstalled s1"),
            Run(Rollback(1), "succeeded", "1 uninstalled s1, 2 deployed s1"),
            There("Page 1.0.0"),
            Run(Upgrade(Two), "succeeded", "1 uninstalled s1, 2 superseded s1, 3 deployed s3"),
        ],
    },
    Story {
        name: "removals_that_kept_history_can_be_completed",
        acts: &[
            Run(Install(One), "succeeded", "1 deployed s1"),
            By(Hand::Uninstall { keep_history: true }, "1 uninstalled s1"),
            By(Hand::Uninstall { keep_history: true }, "1 uninstalled s1"),
            Run(Uninstall, "succeeded", ""),
        ],
    },
    Story {
        name: "objects_of_nobody_are_not_taken_unless_that_is_asked_for",
        acts: &[
            Happens(Makes(Page)),
            Run(Install(One), "failed Ownership", ""),
            There("Page of nothing of no release"),
            Run(With(Taking, &Install(One)), "succeeded", "1 deployed s1"),
            There("Page 1.0.0"),
            Happens(Makes(Extra)),
            Run(Upgrade(Two), "failed Ownership", "1 deployed s1"),
            There("Page 1.0.0, Extra of nothing of no release"),
            Run(With(Taking, &Upgrade(Two)), "succeeded", "1 superseded s1, 2 deployed s2"),
            There("Page 1.1.0, Extra 1.1.0"),
            Run(Uninstall, "succeeded", ""),
            There(""),
        ],
    },
    Story {
        name: "objects_of_another_release_are_not_taken_unless_that_is_asked_for",
        acts: &[
            Happens(IsTaken(Page)),
            Run(Install(One), "failed Ownership", ""),
            There("Page another of another release"),
            Run(With(Taking, &Install(One)), "succeeded", "1 deployed s1"),
            There("Page 1.0.0"),
        ],
    },
    Story {
        name: "objects_that_were_the_releases_before_are_taken_back_without_a_question",
        acts: &[
            Run(Install(One), "succeeded", "1 deployed s1"),
            Happens(IsTaken(Page)),
            Run(Upgrade(Two), "succeeded", "1 superseded s1, 2 deployed s2"),
            There("Page 1.1.0, Extra 1.1.0"),
            Happens(IsTaken(Extra)),
            Run(Rollback(2), "succeeded", "1 superseded s1, 2 superseded s2, 3 deployed s2"),
            There("Page 1.1.0, Extra 1.1.0"),
        ],
    },
    Story {
        name: "rollbacks_ask_nobody_for_an_object",
        acts: &[
            Run(Install(Two), "succeeded", "1 deployed s1"),
            Run(Upgrade(Three), "succeeded", "1 superseded s1, 2 deployed s2"),
            Happens(IsTaken(Extra)),
            Run(Rollback(1), "succeeded", "1 superseded s1, 2 superseded s2, 3 deployed s1"),
            There("Page 1.1.0, Extra 1.1.0"),
        ],
    },
    Story {
        name: "objects_that_are_to_be_kept_outlive_an_upgrade_and_are_taken_up_again",
        acts: &[
            Run(Install(Keeps), "succeeded", "1 deployed s1"),
            There("Page 1.4.0, Kept 1.4.0"),
            Run(Upgrade(One), "succeeded", "1 superseded s1, 2 deployed s2"),
            There("Page 1.0.0, Kept 1.4.0"),
            Run(Upgrade(Keeps), "succeeded", "1 superseded s1, 2 superseded s2, 3 deployed s3"),
            Run(Rollback(2), "succeeded", "1 superseded s1, 2 superseded s2, 3 superseded s3, 4 deployed s2"),
            There("Page 1.0.0, Kept 1.4.0"),
        ],
    },
    Story {
        name: "objects_that_are_to_be_kept_outlive_a_removal_and_are_taken_up_again",
        acts: &[
            Run(Install(Keeps), "succeeded", "1 deployed s1"),
            Run(Uninstall, "succeeded", ""),
            There("Kept 1.4.0"),
            Run(Install(Keeps), "succeeded", "1 deployed s1"),
            There("Page 1.4.0, Kept 1.4.0"),
            Run(Uninstall, "succeeded", ""),
            // Another release does not get it.
            Happens(IsTaken(Kept)),
            Run(Install(Keeps), "failed Ownership", ""),
            Happens(Deletes(Kept)),
            Run(Install(Keeps), "succeeded", "1 deployed s1"),
        ],
    },
    Story {
        name: "nothing_is_installed_where_no_namespace_is_unless_that_is_made",
        acts: &[
            Happens(NamespaceGone),
            Run(Install(One), "failed NamespaceMissing", ""),
            Run(Upgrade(One), "failed NotFound", ""),
            Run(Rollback(1), "failed NotFound", ""),
            Run(Uninstall, "succeeded", ""),
            Run(With(NewNamespace, &Install(One)), "succeeded", "1 deployed s1"),
            Run(Uninstall, "succeeded", ""),
            Run(With(NewNamespace, &Install(One)), "succeeded", "1 deployed s1"),
        ],
    },
    Story {
        name: "a_namespace_that_goes_takes_the_records_along_and_takes_nothing_new",
        acts: &[
            Run(Install(One), "succeeded", "1 deployed s1"),
            Happens(NamespaceEnds),
            Run(Install(One), "failed NamespaceMissing", ""),
            Run(With(NewNamespace, &Install(One)), "failed NamespaceMissing", ""),
            Run(Upgrade(One), "failed NotFound", ""),
            Run(Uninstall, "succeeded", ""),
        ],
    },
];
