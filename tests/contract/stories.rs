//! What each run leaves that is not interfered with. `s2` is the stamp that a run puts on its record, `v1` the mark of a
//! good revision: both as labels, which helm copies to the next revision of an upgrade, and from the target of a
//! rollback.

use super::{
    Act::{Forget, Happens, Mark, Run, Spoil, Tells, There, Unlock},
    Ask::{Install, Replace, Rollback, Test, Uninstall, Upgrade, With},
    Deed::{Deletes, Pins},
    Flavour::{
        HookFails, Hooked, Incompatible, Invalid, NeverReady, One, TestFails, Tested, Three, TooLarge, Two, Unfit,
        UnknownKind, Unrendered, WayBackFails,
    },
    How::{Hurried, Keeping, NoHooks, NoTest, Waiting},
    Part::{Extra, Page},
    Story,
};

pub(super) const STORIES: &[Story] = &[
    Story {
        name: "releases_are_installed_upgraded_rolled_back_and_uninstalled",
        acts: &[
            Run(Install(One), "succeeded", "1 deployed s1"),
            Mark(1),
            Run(Upgrade(Two), "succeeded", "1 superseded s1 v1, 2 deployed s2 v1"),
            Run(Rollback(1), "succeeded", "1 superseded s1 v1, 2 superseded s2 v1, 3 deployed s1 v1"),
            Run(Uninstall, "succeeded", ""),
            Run(Uninstall, "succeeded", ""),
        ],
    },
    Story {
        name: "names_in_use_are_not_installed_over",
        acts: &[
            Run(Install(One), "succeeded", "1 deployed s1"),
            Run(Install(Two), "failed LostRace", "1 deployed s1"),
            Run(Replace(Two), "failed LostRace", "1 deployed s1"),
        ],
    },
    Story {
        name: "failed_installs_are_replaced_and_keep_their_records",
        acts: &[
            Run(Install(Invalid), "failed Invalid", "1 failed s1"),
            Run(Install(One), "failed LostRace", "1 failed s1"),
            Run(Replace(Invalid), "failed Invalid", "1 failed s1, 2 failed s2"),
            Run(Replace(One), "succeeded", "1 failed s1, 2 failed s2, 3 deployed s3"),
        ],
    },
    Story {
        name: "failed_installs_can_be_upgraded",
        acts: &[
            Run(Install(Invalid), "failed Invalid", "1 failed s1"),
            // What helm compares with becomes superseded, also where it had failed.
            Run(Upgrade(One), "succeeded", "1 superseded s1, 2 deployed s2"),
        ],
    },
    Story {
        name: "nothing_is_written_where_a_chart_does_not_render",
        acts: &[
            Run(Install(Unrendered), "failed Template", ""),
            Run(Install(One), "succeeded", "1 deployed s1"),
            Run(Upgrade(Unrendered), "failed Template", "1 deployed s1"),
        ],
    },
    Story {
        name: "nothing_is_upgraded_rolled_back_or_found_where_nothing_is",
        acts: &[
            Run(Upgrade(One), "failed NotFound", ""),
            Run(Rollback(1), "failed NotFound", ""),
            Run(Install(One), "succeeded", "1 deployed s1"),
            Run(Rollback(7), "failed LostRace", "1 deployed s1"),
        ],
    },
    Story {
        name: "failed_upgrades_leave_the_deployed_revision_deployed",
        acts: &[
            Run(Install(One), "succeeded", "1 deployed s1"),
            Mark(1),
            Run(Upgrade(Invalid), "failed Invalid", "1 deployed s1 v1, 2 failed s2 v1"),
            Run(Upgrade(Invalid), "failed Invalid", "1 deployed s1 v1, 2 failed s2 v1, 3 failed s3 v1"),
            Run(Rollback(1), "succeeded", "1 superseded s1 v1, 2 failed s2 v1, 3 failed s3 v1, 4 deployed s1 v1"),
            Run(
                Upgrade(Two),
                "succeeded",
                "1 superseded s1 v1, 2 failed s2 v1, 3 failed s3 v1, 4 superseded s1 v1, 5 deployed s5 v1",
            ),
        ],
    },
    Story {
        name: "oldest_records_are_pruned_before_the_new_one_and_the_deployed_one_never",
        acts: &[
            Run(Install(One), "succeeded", "1 deployed s1"),
            Run(With(Keeping(2), &Upgrade(Two)), "succeeded", "1 superseded s1, 2 deployed s2"),
            Run(With(Keeping(2), &Upgrade(Three)), "succeeded", "2 superseded s2, 3 deployed s3"),
            Run(With(Keeping(2), &Upgrade(Invalid)), "failed Invalid", "3 deployed s3, 4 failed s4"),
            Run(With(Keeping(2), &Upgrade(Invalid)), "failed Invalid", "3 deployed s3, 5 failed s5"),
        ],
    },
    Story {
        name: "hooks_that_work_are_waited_for",
        acts: &[
            Run(Install(Hooked), "succeeded", "1 deployed s1"),
            Run(Upgrade(Hooked), "succeeded", "1 superseded s1, 2 deployed s2"),
        ],
    },
    Story {
        name: "hooks_that_fail_leave_a_failed_record",
        acts: &[
            Run(Install(HookFails), "failed Hook", "1 failed s1"),
            Run(Replace(One), "succeeded", "1 failed s1, 2 deployed s2"),
            Run(Upgrade(HookFails), "failed Hook", "1 failed s1, 2 deployed s2, 3 failed s3"),
        ],
    },
    Story {
        name: "rollbacks_whose_hook_fails_leave_their_record_pending_until_it_is_unlocked",
        acts: &[
            Run(Install(WayBackFails), "succeeded", "1 deployed s1"),
            Run(Upgrade(Two), "succeeded", "1 superseded s1, 2 deployed s2"),
            Run(Rollback(1), "failed Hook", "1 superseded s1, 2 deployed s2, 3 pending-rollback s1"),
            Run(Upgrade(Two), "failed Locked", "1 superseded s1, 2 deployed s2, 3 pending-rollback s1"),
            Unlock(3),
            Run(Rollback(2), "succeeded", "1 superseded s1, 2 superseded s2, 3 failed s1, 4 deployed s2"),
        ],
    },
    Story {
        name: "removals_whose_hook_fails_leave_the_release_in_removal",
        acts: &[
            Run(Install(WayBackFails), "succeeded", "1 deployed s1"),
            Run(Uninstall, "failed Hook", "1 uninstalling s1"),
            Run(Uninstall, "failed Hook", "1 uninstalling s1"),
            Run(Upgrade(One), "failed NotFound", "1 uninstalling s1"),
        ],
    },
    Story {
        name: "tests_make_no_revision_and_are_told_by_the_record",
        acts: &[
            Run(Install(TestFails), "succeeded", "1 deployed s1"),
            Run(Test, "failed Hook, Failed", "1 deployed s1"),
            Run(Upgrade(Tested), "succeeded", "1 superseded s1, 2 deployed s2"),
            Run(Test, "succeeded, Succeeded", "1 superseded s1, 2 deployed s2"),
            Run(Upgrade(One), "succeeded", "1 superseded s1, 2 superseded s2, 3 deployed s3"),
            Run(Test, "succeeded, ", "1 superseded s1, 2 superseded s2, 3 deployed s3"),
        ],
    },
    Story {
        name: "nothing_is_written_where_a_chart_is_refused_before_it_is_deployed",
        acts: &[
            Run(Install(Unfit), "failed Schema", ""),
            Run(Install(Incompatible), "failed Incompatible", ""),
            Run(Install(UnknownKind), "failed MissingKind", ""),
            Run(Install(TooLarge), "failed TooLarge", ""),
            There(""),
            Run(Install(One), "succeeded", "1 deployed s1"),
            Run(Upgrade(Unfit), "failed Schema", "1 deployed s1"),
            Run(Upgrade(Incompatible), "failed Incompatible", "1 deployed s1"),
            Run(Upgrade(UnknownKind), "failed MissingKind", "1 deployed s1"),
            Run(Upgrade(TooLarge), "failed TooLarge", "1 deployed s1"),
            There("Page 1.0.0"),
        ],
    },
    Story {
        name: "the_same_chart_is_another_revision_each_time",
        acts: &[
            Run(Install(One), "succeeded", "1 deployed s1"),
            Tells("1.0.0 deployed, as described"),
            Run(Upgrade(One), "succeeded", "1 superseded s1, 2 deployed s2"),
            Tells("1.0.0 deployed, as described"),
            Run(Rollback(2), "succeeded", "1 superseded s1, 2 superseded s2, 3 deployed s2"),
            Tells("1.0.0 deployed, back to 2"),
        ],
    },
    Story {
        name: "objects_come_and_go_with_their_revision",
        acts: &[
            Run(Install(One), "succeeded", "1 deployed s1"),
            There("Page 1.0.0"),
            Run(Upgrade(Two), "succeeded", "1 superseded s1, 2 deployed s2"),
            There("Page 1.1.0, Extra 1.1.0"),
            Run(Rollback(1), "succeeded", "1 superseded s1, 2 superseded s2, 3 deployed s1"),
            There("Page 1.0.0"),
            Run(Upgrade(Two), "succeeded", "1 superseded s1, 2 superseded s2, 3 superseded s1, 4 deployed s4"),
            Run(Uninstall, "succeeded", ""),
            There(""),
        ],
    },
    Story {
        name: "objects_that_are_missing_are_put_back",
        acts: &[
            Run(Install(Two), "succeeded", "1 deployed s1"),
            Happens(Deletes(Page)),
            Happens(Deletes(Extra)),
            Run(Upgrade(Two), "succeeded", "1 superseded s1, 2 deployed s2"),
            There("Page 1.1.0, Extra 1.1.0"),
            Happens(Deletes(Page)),
            Run(Rollback(1), "succeeded", "1 superseded s1, 2 superseded s2, 3 deployed s1"),
            There("Page 1.1.0, Extra 1.1.0"),
            Happens(Deletes(Page)),
            Run(Uninstall, "succeeded", ""),
        ],
    },
    Story {
        name: "what_a_failed_upgrade_made_is_removed_by_a_rollback_and_left_by_an_upgrade",
        acts: &[
            Run(Install(One), "succeeded", "1 deployed s1"),
            Run(Upgrade(Invalid), "failed Invalid", "1 deployed s1, 2 failed s2"),
            There("Page 3.1.0, Extra 3.1.0"),
            Run(Rollback(1), "succeeded", "1 superseded s1, 2 failed s2, 3 deployed s1"),
            There("Page 1.0.0"),
            Run(Upgrade(Invalid), "failed Invalid", "1 superseded s1, 2 failed s2, 3 deployed s1, 4 failed s4"),
            Run(
                Upgrade(Three),
                "succeeded",
                "1 superseded s1, 2 failed s2, 3 superseded s1, 4 failed s4, 5 deployed s5",
            ),
            There("Page 1.2.0, Extra 3.1.0"),
            Run(Uninstall, "succeeded", ""),
            There("Extra 3.1.0"),
        ],
    },
    Story {
        name: "what_a_failed_install_made_is_taken_over_by_the_next",
        acts: &[
            Run(Install(Invalid), "failed Invalid", "1 failed s1"),
            There("Page 3.1.0, Extra 3.1.0"),
            Run(Replace(Two), "succeeded", "1 failed s1, 2 deployed s2"),
            There("Page 1.1.0, Extra 1.1.0"),
        ],
    },
    Story {
        name: "failed_installs_can_be_uninstalled",
        acts: &[Run(Install(Invalid), "failed Invalid", "1 failed s1"), Run(Uninstall, "succeeded", ""), There("")],
    },
    Story {
        name: "installs_replace_what_is_newest_whatever_is_older",
        acts: &[
            Run(Install(One), "succeeded", "1 deployed s1"),
            Run(Upgrade(Two), "succeeded", "1 superseded s1, 2 deployed s2"),
            Run(Upgrade(Invalid), "failed Invalid", "1 superseded s1, 2 deployed s2, 3 failed s3"),
            Run(Replace(One), "succeeded", "1 superseded s1, 2 deployed s2, 3 failed s3, 4 deployed s4"),
        ],
    },
    Story {
        name: "rollbacks_make_room_too_and_may_lose_where_they_go_back_to",
        acts: &[
            Run(Install(One), "succeeded", "1 deployed s1"),
            Run(Upgrade(Two), "succeeded", "1 superseded s1, 2 deployed s2"),
            Run(Upgrade(Three), "succeeded", "1 superseded s1, 2 superseded s2, 3 deployed s3"),
            Run(With(Keeping(2), &Rollback(1)), "succeeded", "3 superseded s3, 4 deployed s1"),
            Run(Rollback(1), "failed LostRace", "3 superseded s3, 4 deployed s1"),
            There("Page 1.0.0"),
        ],
    },
    Story {
        name: "revisions_of_two_digits_follow_those_of_one",
        acts: &[
            Run(Install(One), "succeeded", "1 deployed s1"),
            Run(With(Keeping(2), &Upgrade(One)), "succeeded", "1 superseded s1, 2 deployed s2"),
            Run(With(Keeping(2), &Upgrade(One)), "succeeded", "2 superseded s2, 3 deployed s3"),
            Run(With(Keeping(2), &Upgrade(One)), "succeeded", "3 superseded s3, 4 deployed s4"),
            Run(With(Keeping(2), &Upgrade(One)), "succeeded", "4 superseded s4, 5 deployed s5"),
            Run(With(Keeping(2), &Upgrade(One)), "succeeded", "5 superseded s5, 6 deployed s6"),
            Run(With(Keeping(2), &Upgrade(One)), "succeeded", "6 superseded s6, 7 deployed s7"),
            Run(With(Keeping(2), &Upgrade(One)), "succeeded", "7 superseded s7, 8 deployed s8"),
            Run(With(Keeping(3), &Upgrade(One)), "succeeded", "7 superseded s7, 8 superseded s8, 9 deployed s9"),
            Run(With(Keeping(3), &Upgrade(One)), "succeeded", "8 superseded s8, 9 superseded s9, 10 deployed s10"),
            Run(With(Keeping(3), &Upgrade(One)), "succeeded", "9 superseded s9, 10 superseded s10, 11 deployed s11"),
            Run(
                With(Keeping(9), &Rollback(9)),
                "succeeded",
                "9 superseded s9, 10 superseded s10, 11 superseded s11, 12 deployed s9",
            ),
        ],
    },
    Story {
        name: "records_that_are_missing_are_not_missed",
        acts: &[
            Run(Install(One), "succeeded", "1 deployed s1"),
            Run(Upgrade(Invalid), "failed Invalid", "1 deployed s1, 2 failed s2"),
            Run(Upgrade(Invalid), "failed Invalid", "1 deployed s1, 2 failed s2, 3 failed s3"),
            Forget(2),
            Run(Rollback(1), "succeeded", "1 superseded s1, 3 failed s3, 4 deployed s1"),
            Forget(4),
            // The number is given again, and what failed last is what helm compares with.
            Run(Upgrade(Two), "succeeded", "1 superseded s1, 3 superseded s3, 4 deployed s4"),
            Run(Uninstall, "succeeded", ""),
        ],
    },
    Story {
        name: "records_that_cannot_be_read_are_passed_by_and_stand_in_the_way",
        acts: &[
            Run(Install(One), "succeeded", "1 deployed s1"),
            Run(Upgrade(Two), "succeeded", "1 superseded s1, 2 deployed s2"),
            Spoil(2),
            Run(Upgrade(Two), "failed LostRace", "1 superseded s1, 2 deployed s2"),
            Run(Rollback(1), "failed LostRace", "1 superseded s1, 2 deployed s2"),
            Run(Uninstall, "succeeded", "2 deployed s2"),
            // The operator counted on.
            Run(Install(One), "succeeded", "1 deployed s3, 2 deployed s2"),
        ],
    },
    Story {
        name: "hooks_can_be_left_out",
        acts: &[
            Run(With(NoHooks, &Install(HookFails)), "succeeded", "1 deployed s1"),
            Run(With(NoHooks, &Upgrade(WayBackFails)), "succeeded", "1 superseded s1, 2 deployed s2"),
            Run(With(NoHooks, &Upgrade(HookFails)), "succeeded", "1 superseded s1, 2 superseded s2, 3 deployed s3"),
            Run(
                With(NoHooks, &Rollback(2)),
                "succeeded",
                "1 superseded s1, 2 superseded s2, 3 superseded s3, 4 deployed s2",
            ),
            Run(Uninstall, "failed Hook", "1 superseded s1, 2 superseded s2, 3 superseded s3, 4 uninstalling s2"),
        ],
    },
    Story {
        name: "hooks_are_told_by_the_record",
        acts: &[
            Run(Install(Hooked), "succeeded", "1 deployed s1"),
            Tells("2.0.0 deployed, as described, hook Succeeded"),
            Run(Upgrade(HookFails), "failed Hook", "1 deployed s1, 2 failed s2"),
            Tells("2.2.0 failed, hook Failed"),
        ],
    },
    Story {
        name: "tests_that_are_left_out_stay_in_the_record",
        acts: &[
            Run(Install(TestFails), "succeeded", "1 deployed s1"),
            Mark(1),
            Run(With(NoTest, &Test), "succeeded, Unknown", "1 deployed s1 v1"),
            Run(Test, "failed Hook, Failed", "1 deployed s1 v1"),
        ],
    },
    Story {
        name: "objects_that_do_not_get_ready_while_helm_waits_fail_the_revision",
        acts: &[
            Run(With(Hurried, &Install(NeverReady)), "failed NotReady", "1 failed s1"),
            Run(Replace(One), "succeeded", "1 failed s1, 2 deployed s2"),
            Run(With(Hurried, &Upgrade(NeverReady)), "failed NotReady", "1 failed s1, 2 deployed s2, 3 failed s3"),
            // The newest is superseded where it was deployed and nowhere else.
            Run(
                With(Waiting, &With(Hurried, &Rollback(1))),
                "failed NotReady",
                "1 failed s1, 2 deployed s2, 3 failed s3, 4 failed s1",
            ),
        ],
    },
    Story {
        name: "objects_that_do_not_go_while_helm_waits_are_said_when_the_records_are_gone",
        acts: &[
            Run(Install(One), "succeeded", "1 deployed s1"),
            Happens(Pins(Page)),
            Run(With(Waiting, &With(Hurried, &Uninstall)), "failed NotReady", ""),
            There("Page 1.0.0 going"),
        ],
    },
    Story {
        name: "objects_that_do_not_go_are_not_waited_for_otherwise",
        acts: &[
            Run(Install(One), "succeeded", "1 deployed s1"),
            Happens(Pins(Page)),
            Run(Uninstall, "succeeded", ""),
            There("Page 1.0.0 going"),
            // And what is going is taken for the release's own.
            Run(Install(Two), "succeeded", "1 deployed s1"),
            There("Page 1.1.0 going, Extra 1.1.0"),
        ],
    },
];
