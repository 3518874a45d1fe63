//! The list. `s2` is the stamp that a run puts on its record, `v1` the mark of a good revision: both as labels, which
//! helm copies to the next revision of an upgrade, and from the target of a rollback.

use super::{
    Act::{Cut, Mark, Run, Unlock},
    Ask::{Install, Replace, Rollback, Test, Uninstall, Upgrade, UpgradeKeeping},
    Flavour::{
        HookFails, HookHangs, Hooked, Invalid, NeverReady, One, TestFails, Tested, Three, Two, Unrendered, WayBackFails,
    },
    Halt::{Gently, Now},
    Moment::{Before, Begun, Hook, Last, Waiting},
    Story,
};

pub(crate) const STORIES: &[Story] = &[
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
            Run(UpgradeKeeping(Two, 2), "succeeded", "1 superseded s1, 2 deployed s2"),
            Run(UpgradeKeeping(Three, 2), "succeeded", "2 superseded s2, 3 deployed s3"),
            Run(UpgradeKeeping(Invalid, 2), "failed Invalid", "3 deployed s3, 4 failed s4"),
            Run(UpgradeKeeping(Invalid, 2), "failed Invalid", "3 deployed s3, 5 failed s5"),
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
        name: "installs_killed_before_their_record_leave_nothing",
        acts: &[
            Cut(Install(One), Before, Now, "cancelled", ""),
            Run(Install(One), "succeeded", "1 deployed s1"),
            Cut(Upgrade(Two), Before, Now, "cancelled", "1 deployed s1"),
        ],
    },
    Story {
        name: "installs_told_to_end_leave_a_failed_record",
        acts: &[
            Cut(Install(One), Begun, Gently, "cancelled", "1 failed s1"),
            Run(Replace(One), "succeeded", "1 failed s1, 2 deployed s2"),
            Cut(Upgrade(Two), Begun, Gently, "cancelled", "1 failed s1, 2 deployed s2, 3 failed s3"),
        ],
    },
    Story {
        name: "installs_killed_with_their_record_leave_it_pending_and_locked_until_it_is_unlocked",
        acts: &[
            Cut(Install(One), Begun, Now, "cancelled", "1 pending-install s1"),
            Run(Install(One), "failed LostRace", "1 pending-install s1"),
            Run(Replace(One), "failed LostRace", "1 pending-install s1"),
            Run(Upgrade(One), "failed Locked", "1 pending-install s1"),
            Unlock(1),
            Run(Replace(One), "succeeded", "1 failed s1, 2 deployed s2"),
        ],
    },
    Story {
        name: "upgrades_killed_with_their_record_leave_it_pending_and_locked_until_it_is_unlocked",
        acts: &[
            Run(Install(One), "succeeded", "1 deployed s1"),
            Mark(1),
            Cut(Upgrade(Two), Begun, Now, "cancelled", "1 deployed s1 v1, 2 pending-upgrade s2 v1"),
            Run(Upgrade(Two), "failed Locked", "1 deployed s1 v1, 2 pending-upgrade s2 v1"),
            Unlock(2),
            Run(Upgrade(Two), "succeeded", "1 superseded s1 v1, 2 failed s2 v1, 3 deployed s3 v1"),
        ],
    },
    Story {
        name: "rollbacks_do_not_ask_whether_a_record_is_pending",
        acts: &[
            Run(Install(One), "succeeded", "1 deployed s1"),
            Cut(Upgrade(Two), Begun, Now, "cancelled", "1 deployed s1, 2 pending-upgrade s2"),
            Run(Rollback(1), "succeeded", "1 superseded s1, 2 pending-upgrade s2, 3 deployed s1"),
        ],
    },
    Story {
        name: "upgrades_cut_off_in_a_hook_leave_what_they_leave_elsewhere",
        acts: &[
            Run(Install(One), "succeeded", "1 deployed s1"),
            Cut(Upgrade(HookHangs), Hook, Gently, "cancelled", "1 deployed s1, 2 failed s2"),
            Cut(Upgrade(HookHangs), Hook, Now, "cancelled", "1 deployed s1, 2 failed s2, 3 pending-upgrade s3"),
        ],
    },
    Story {
        name: "upgrades_cut_off_while_they_wait_for_objects_leave_what_they_leave_elsewhere",
        acts: &[
            Run(Install(One), "succeeded", "1 deployed s1"),
            Cut(Upgrade(NeverReady), Waiting, Gently, "cancelled", "1 deployed s1, 2 failed s2"),
            Cut(Upgrade(NeverReady), Waiting, Now, "cancelled", "1 deployed s1, 2 failed s2, 3 pending-upgrade s3"),
        ],
    },
    Story {
        name: "upgrades_killed_before_their_last_write_leave_none_deployed",
        acts: &[
            Run(Install(One), "succeeded", "1 deployed s1"),
            Mark(1),
            Cut(Upgrade(Two), Last, Now, "cancelled", "1 superseded s1 v1, 2 pending-upgrade s2 v1"),
            Unlock(2),
            Run(Upgrade(Two), "succeeded", "1 superseded s1 v1, 2 superseded s2 v1, 3 deployed s3 v1"),
        ],
    },
    Story {
        name: "rollbacks_that_are_told_to_end_go_on",
        acts: &[
            Run(Install(One), "succeeded", "1 deployed s1"),
            Run(Upgrade(Two), "succeeded", "1 superseded s1, 2 deployed s2"),
            Cut(Rollback(1), Begun, Gently, "succeeded", "1 superseded s1, 2 superseded s2, 3 deployed s1"),
        ],
    },
    Story {
        name: "rollbacks_that_are_killed_leave_a_pending_record",
        acts: &[
            Run(Install(One), "succeeded", "1 deployed s1"),
            Run(Upgrade(Two), "succeeded", "1 superseded s1, 2 deployed s2"),
            Cut(Rollback(1), Begun, Now, "cancelled", "1 superseded s1, 2 deployed s2, 3 pending-rollback s1"),
            Run(Upgrade(Two), "failed Locked", "1 superseded s1, 2 deployed s2, 3 pending-rollback s1"),
            Run(Rollback(1), "succeeded", "1 superseded s1, 2 superseded s2, 3 pending-rollback s1, 4 deployed s1"),
        ],
    },
    Story {
        name: "rollbacks_killed_before_their_last_write_leave_none_deployed",
        acts: &[
            Run(Install(One), "succeeded", "1 deployed s1"),
            Run(Upgrade(Two), "succeeded", "1 superseded s1, 2 deployed s2"),
            Cut(Rollback(1), Last, Now, "cancelled", "1 superseded s1, 2 superseded s2, 3 pending-rollback s1"),
            Unlock(3),
            Run(Upgrade(Two), "succeeded", "1 superseded s1, 2 superseded s2, 3 superseded s1, 4 deployed s4"),
        ],
    },
    Story {
        name: "uninstalls_that_are_killed_can_be_made_again",
        acts: &[
            Run(Install(One), "succeeded", "1 deployed s1"),
            Run(Upgrade(Two), "succeeded", "1 superseded s1, 2 deployed s2"),
            Cut(Uninstall, Begun, Now, "cancelled", "1 superseded s1, 2 uninstalling s2"),
            Run(Upgrade(Two), "failed NotFound", "1 superseded s1, 2 uninstalling s2"),
            Run(Uninstall, "succeeded", ""),
        ],
    },
    Story {
        name: "pending_releases_can_be_uninstalled",
        acts: &[Cut(Install(One), Begun, Now, "cancelled", "1 pending-install s1"), Run(Uninstall, "succeeded", "")],
    },
];
