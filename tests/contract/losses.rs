//! What is left where one write of a run goes wrong.

use super::{
    Act::{Broken, Run, There, Unlock},
    Ask::{Install, Replace, Rollback, Uninstall, Upgrade, With},
    Flavour::{Invalid, One, Three, Two},
    How::Keeping,
    Loss::{Done, Refused},
    Story,
    Write::{First, Object, Own, Purge, Superseding},
};

pub(super) const STORIES: &[Story] = &[
    Story {
        name: "installs_whose_first_write_fails_leave_nothing",
        acts: &[
            Broken(Install(One), First, Refused, "failed Unreachable", ""),
            There(""),
            Broken(Install(One), First, Done, "failed Unreachable", "1 pending-install s1"),
            There(""),
        ],
    },
    Story {
        name: "installs_whose_last_write_fails_say_that_they_succeeded",
        acts: &[
            Broken(Install(One), Own, Refused, "succeeded", "1 pending-install s1"),
            There("Page 1.0.0"),
            Unlock(1),
            Broken(Replace(One), Own, Done, "succeeded", "1 failed s1, 2 deployed s2"),
        ],
    },
    Story {
        name: "installs_that_cannot_say_that_they_failed_leave_a_pending_record",
        acts: &[Broken(Install(Invalid), Own, Refused, "failed Invalid", "1 pending-install s1")],
    },
    Story {
        name: "upgrades_whose_first_write_fails_change_nothing",
        acts: &[
            Run(Install(One), "succeeded", "1 deployed s1"),
            Broken(Upgrade(Two), First, Refused, "failed Unreachable", "1 deployed s1"),
            Broken(Upgrade(Two), First, Done, "failed Unreachable", "1 deployed s1, 2 pending-upgrade s2"),
            There("Page 1.0.0"),
        ],
    },
    Story {
        name: "room_is_made_even_where_the_record_that_it_is_for_is_not_written",
        acts: &[
            Run(Install(One), "succeeded", "1 deployed s1"),
            Run(Upgrade(Two), "succeeded", "1 superseded s1, 2 deployed s2"),
            Broken(With(Keeping(2), &Upgrade(Three)), First, Refused, "failed Unreachable", "2 deployed s2"),
            Broken(With(Keeping(2), &Upgrade(Three)), First, Refused, "failed Unreachable", "2 deployed s2"),
        ],
    },
    Story {
        name: "upgrades_whose_last_write_fails_leave_none_deployed",
        acts: &[
            Run(Install(One), "succeeded", "1 deployed s1"),
            Broken(Upgrade(Two), Own, Refused, "failed Unreachable", "1 superseded s1, 2 pending-upgrade s2"),
            There("Page 1.1.0, Extra 1.1.0"),
            Unlock(2),
            Broken(Upgrade(Two), Own, Done, "failed Unreachable", "1 superseded s1, 2 superseded s2, 3 deployed s3"),
        ],
    },
    Story {
        name: "upgrades_that_cannot_say_that_they_failed_leave_a_pending_record",
        acts: &[
            Run(Install(One), "succeeded", "1 deployed s1"),
            Broken(Upgrade(Invalid), Own, Refused, "failed Invalid", "1 deployed s1, 2 pending-upgrade s2"),
        ],
    },
    Story {
        name: "upgrades_that_cannot_supersede_leave_two_deployed_and_the_newer_one_counts",
        acts: &[
            Run(Install(One), "succeeded", "1 deployed s1"),
            Broken(Upgrade(Two), Superseding, Refused, "succeeded", "1 deployed s1, 2 deployed s2"),
            Run(Upgrade(Three), "succeeded", "1 deployed s1, 2 superseded s2, 3 deployed s3"),
            // Extra was of the revision that it was compared with.
            There("Page 1.2.0"),
            Run(Upgrade(Invalid), "failed Invalid", "1 deployed s1, 2 superseded s2, 3 deployed s3, 4 failed s4"),
            Run(With(Keeping(2), &Upgrade(Two)), "succeeded", "3 superseded s3, 5 deployed s5"),
        ],
    },
    Story {
        name: "rollbacks_and_removals_see_to_all_that_are_deployed",
        acts: &[
            Run(Install(One), "succeeded", "1 deployed s1"),
            Broken(Upgrade(Two), Superseding, Refused, "succeeded", "1 deployed s1, 2 deployed s2"),
            Run(Rollback(1), "succeeded", "1 superseded s1, 2 superseded s2, 3 deployed s1"),
            Broken(
                Upgrade(Two),
                Superseding,
                Refused,
                "succeeded",
                "1 superseded s1, 2 superseded s2, 3 deployed s1, 4 deployed s4",
            ),
            Run(Uninstall, "succeeded", ""),
        ],
    },
    Story {
        name: "rollbacks_whose_first_write_fails_change_nothing",
        acts: &[
            Run(Install(One), "succeeded", "1 deployed s1"),
            Run(Upgrade(Two), "succeeded", "1 superseded s1, 2 deployed s2"),
            Broken(Rollback(1), First, Refused, "failed Unreachable", "1 superseded s1, 2 deployed s2"),
            There("Page 1.1.0, Extra 1.1.0"),
        ],
    },
    Story {
        name: "rollbacks_whose_last_write_fails_leave_none_deployed",
        acts: &[
            Run(Install(One), "succeeded", "1 deployed s1"),
            Run(Upgrade(Two), "succeeded", "1 superseded s1, 2 deployed s2"),
            Broken(
                Rollback(1),
                Own,
                Refused,
                "failed Unreachable",
                "1 superseded s1, 2 superseded s2, 3 pending-rollback s1",
            ),
            There("Page 1.0.0"),
        ],
    },
    Story {
        name: "rollbacks_that_cannot_supersede_leave_two_deployed",
        acts: &[
            Run(Install(One), "succeeded", "1 deployed s1"),
            Run(Upgrade(Two), "succeeded", "1 superseded s1, 2 deployed s2"),
            Broken(Rollback(1), Superseding, Refused, "succeeded", "1 superseded s1, 2 deployed s2, 3 deployed s1"),
        ],
    },
    Story {
        name: "rollbacks_whose_objects_are_refused_leave_what_was_newest_superseded",
        acts: &[
            Run(Install(One), "succeeded", "1 deployed s1"),
            Run(Upgrade(Two), "succeeded", "1 superseded s1, 2 deployed s2"),
            Broken(Rollback(1), Object, Refused, "failed Unreachable", "1 superseded s1, 2 superseded s2, 3 failed s1"),
            Run(Upgrade(Invalid), "failed Invalid", "1 superseded s1, 2 superseded s2, 3 failed s1, 4 failed s4"),
            Run(Rollback(2), "succeeded", "1 superseded s1, 2 superseded s2, 3 failed s1, 4 failed s4, 5 deployed s2"),
            Run(
                Upgrade(Invalid),
                "failed Invalid",
                "1 superseded s1, 2 superseded s2, 3 failed s1, 4 failed s4, 5 deployed s2, 6 failed s6",
            ),
            // What failed is superseded, and what is deployed stays so.
            Broken(
                Rollback(2),
                Object,
                Refused,
                "failed Unreachable",
                "1 superseded s1, 2 superseded s2, 3 failed s1, 4 failed s4, 5 deployed s2, 6 superseded s6, 7 failed s2",
            ),
        ],
    },
    Story {
        name: "deployments_whose_objects_are_refused_fail",
        acts: &[
            Broken(Install(One), Object, Refused, "failed Unreachable", "1 failed s1"),
            Run(Replace(One), "succeeded", "1 failed s1, 2 deployed s2"),
            Broken(Upgrade(Two), Object, Refused, "failed Unreachable", "1 failed s1, 2 deployed s2, 3 failed s3"),
        ],
    },
    Story {
        name: "removals_go_on_where_they_cannot_say_that_they_began",
        acts: &[Run(Install(One), "succeeded", "1 deployed s1"), Broken(Uninstall, Own, Refused, "succeeded", "")],
    },
    Story {
        name: "removals_whose_objects_stay_leave_the_release_in_removal",
        acts: &[
            Run(Install(One), "succeeded", "1 deployed s1"),
            Broken(Uninstall, Object, Refused, "failed Unreachable", "1 uninstalling s1"),
            Run(Uninstall, "succeeded", ""),
            There(""),
        ],
    },
    Story {
        name: "removals_whose_records_stay_leave_the_newest_in_removal",
        acts: &[
            Run(Install(One), "succeeded", "1 deployed s1"),
            Run(Upgrade(Two), "succeeded", "1 superseded s1, 2 deployed s2"),
            Broken(Uninstall, Purge, Refused, "failed Unreachable", "2 uninstalling s2"),
            There(""),
            Run(Uninstall, "succeeded", ""),
        ],
    },
];
