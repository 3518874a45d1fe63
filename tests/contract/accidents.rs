//! What is left where a run is cut off, as the operator, the clock and the kernel do it.

use super::{
    Act::{Cut, Happens, Mark, Run, Tells, There, Unlock},
    Ask::{Install, Replace, Rollback, Test, Uninstall, Upgrade, With},
    Deed::Pins,
    Flavour::{HookHangs, Invalid, NeverReady, One, TestHangs, Three, Two, WayBackFails},
    Halt::{BySomebody, Gently, Now},
    How::{CutShort, Hurried, Waiting},
    Moment::{Before, Begun, Hook, Last, Waiting as AtObjects},
    Part::Page,
    Story,
};

pub(super) const STORIES: &[Story] = &[
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
            Cut(Upgrade(NeverReady), AtObjects, Gently, "cancelled", "1 deployed s1, 2 failed s2"),
            Cut(Upgrade(NeverReady), AtObjects, Now, "cancelled", "1 deployed s1, 2 failed s2, 3 pending-upgrade s3"),
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
    Story {
        name: "hooks_that_run_are_told_by_the_record",
        acts: &[
            Cut(Install(HookHangs), Hook, Now, "cancelled", "1 pending-install s1"),
            Tells("2.4.0 pending-install, hook Running"),
            Unlock(1),
            Cut(Replace(HookHangs), Hook, Gently, "cancelled", "1 failed s1, 2 failed s2"),
            // Told to end, helm does not know how the hook stands.
            Tells("2.4.0 failed"),
        ],
    },
    Story {
        name: "runs_that_take_too_long_are_ended_by_the_clock",
        acts: &[
            Run(With(Hurried, &Install(HookHangs)), "failed Hook", "1 failed s1"),
            Run(With(CutShort, &Replace(HookHangs)), "timed out", "1 failed s1, 2 failed s2"),
            Run(Upgrade(One), "succeeded", "1 failed s1, 2 superseded s2, 3 deployed s3"),
            Run(
                With(CutShort, &Upgrade(HookHangs)),
                "timed out",
                "1 failed s1, 2 superseded s2, 3 deployed s3, 4 failed s4",
            ),
        ],
    },
    Story {
        name: "rollbacks_that_take_too_long_are_killed_by_the_clock",
        acts: &[
            Run(Install(One), "succeeded", "1 deployed s1"),
            Run(With(Hurried, &Upgrade(NeverReady)), "failed NotReady", "1 deployed s1, 2 failed s2"),
            Run(
                With(Waiting, &With(CutShort, &Rollback(2))),
                "timed out",
                "1 deployed s1, 2 failed s2, 3 pending-rollback s2",
            ),
        ],
    },
    Story {
        name: "removals_that_are_told_to_end_go_on",
        acts: &[Run(Install(One), "succeeded", "1 deployed s1"), Cut(Uninstall, Begun, Gently, "succeeded", "")],
    },
    Story {
        name: "removals_that_were_killed_can_be_undone",
        acts: &[
            Run(Install(One), "succeeded", "1 deployed s1"),
            Cut(Uninstall, Begun, Now, "cancelled", "1 uninstalling s1"),
            Run(Install(One), "failed LostRace", "1 uninstalling s1"),
            Run(Replace(One), "failed LostRace", "1 uninstalling s1"),
            Unlock(1),
            Run(Upgrade(Two), "succeeded", "1 superseded s1, 2 deployed s2"),
            Cut(Uninstall, Begun, Now, "cancelled", "1 superseded s1, 2 uninstalling s2"),
            Run(Rollback(1), "succeeded", "1 superseded s1, 2 uninstalling s2, 3 deployed s1"),
        ],
    },
    Story {
        name: "removals_that_were_killed_are_passed_by_where_something_older_is_deployed",
        acts: &[
            Run(Install(One), "succeeded", "1 deployed s1"),
            Run(Upgrade(Invalid), "failed Invalid", "1 deployed s1, 2 failed s2"),
            Cut(Uninstall, Begun, Now, "cancelled", "1 deployed s1, 2 uninstalling s2"),
            Run(Upgrade(Two), "succeeded", "1 superseded s1, 2 uninstalling s2, 3 deployed s3"),
        ],
    },
    Story {
        name: "pending_upgrades_and_rollbacks_can_be_uninstalled",
        acts: &[
            Run(Install(One), "succeeded", "1 deployed s1"),
            Run(Upgrade(Two), "succeeded", "1 superseded s1, 2 deployed s2"),
            Cut(Upgrade(Three), Begun, Now, "cancelled", "1 superseded s1, 2 deployed s2, 3 pending-upgrade s3"),
            Cut(
                Rollback(1),
                Begun,
                Now,
                "cancelled",
                "1 superseded s1, 2 deployed s2, 3 pending-upgrade s3, 4 pending-rollback s1",
            ),
            Tells("1.0.0 pending-rollback, back to 1"),
            Run(Uninstall, "succeeded", ""),
        ],
    },
    Story {
        name: "rollbacks_that_were_unlocked_still_tell_where_they_were_going",
        acts: &[
            Run(Install(One), "succeeded", "1 deployed s1"),
            Run(Upgrade(Two), "succeeded", "1 superseded s1, 2 deployed s2"),
            Cut(Rollback(1), Begun, Now, "cancelled", "1 superseded s1, 2 deployed s2, 3 pending-rollback s1"),
            Unlock(3),
            Tells("1.0.0 failed, back to 1"),
        ],
    },
    Story {
        name: "tests_that_are_cut_off_leave_the_revision_as_it_is",
        acts: &[
            Run(Install(TestHangs), "succeeded", "1 deployed s1"),
            Mark(1),
            Run(With(CutShort, &Test), "timed out, Running", "1 deployed s1 v1"),
            Run(With(Hurried, &Test), "failed Hook, Failed", "1 deployed s1 v1"),
            Cut(Test, Hook, Now, "cancelled, Running", "1 deployed s1 v1"),
            Cut(Test, Hook, Gently, "cancelled, Running", "1 deployed s1 v1"),
            Cut(Test, Hook, BySomebody, "killed, Running", "1 deployed s1 v1"),
            Run(Upgrade(One), "succeeded", "1 superseded s1 v1, 2 deployed s2 v1"),
        ],
    },
    Story {
        name: "rollbacks_that_are_made_again_leave_what_the_first_was_to_remove",
        acts: &[
            Run(Install(One), "succeeded", "1 deployed s1"),
            Run(Upgrade(Two), "succeeded", "1 superseded s1, 2 deployed s2"),
            Cut(Rollback(1), Begun, Now, "cancelled", "1 superseded s1, 2 deployed s2, 3 pending-rollback s1"),
            Unlock(3),
            // helm compares with what is newest.
            Run(Rollback(1), "succeeded", "1 superseded s1, 2 superseded s2, 3 failed s1, 4 deployed s1"),
            There("Page 1.0.0, Extra 1.1.0"),
        ],
    },
    Story {
        name: "installs_and_upgrades_told_to_end_before_their_record_write_it_first",
        acts: &[
            Cut(Install(One), Before, Gently, "cancelled", "1 failed s1"),
            Run(Replace(One), "succeeded", "1 failed s1, 2 deployed s2"),
            Cut(Upgrade(Two), Before, Gently, "cancelled", "1 failed s1, 2 deployed s2, 3 failed s3"),
        ],
    },
    Story {
        name: "installs_cut_off_while_they_wait_for_objects_leave_what_they_leave_elsewhere",
        acts: &[
            Cut(Install(NeverReady), AtObjects, Gently, "cancelled", "1 failed s1"),
            Cut(Replace(NeverReady), AtObjects, Now, "cancelled", "1 failed s1, 2 pending-install s2"),
        ],
    },
    Story {
        name: "installs_told_to_end_in_their_last_write_fail_and_upgrades_succeed",
        acts: &[
            Cut(Install(One), Last, Now, "cancelled", "1 pending-install s1"),
            Unlock(1),
            Cut(Replace(One), Last, Gently, "cancelled", "1 failed s1, 2 failed s2"),
            Run(Replace(One), "succeeded", "1 failed s1, 2 failed s2, 3 deployed s3"),
            Cut(Upgrade(Two), Last, Gently, "succeeded", "1 failed s1, 2 failed s2, 3 superseded s3, 4 deployed s4"),
        ],
    },
    Story {
        name: "rollbacks_that_somebody_ends_leave_what_they_leave_where_they_are_killed",
        acts: &[
            Run(Install(WayBackFails), "succeeded", "1 deployed s1"),
            Run(Upgrade(One), "succeeded", "1 superseded s1, 2 deployed s2"),
            Cut(Rollback(1), Before, BySomebody, "killed", "1 superseded s1, 2 deployed s2"),
            Cut(Rollback(1), Before, Now, "cancelled", "1 superseded s1, 2 deployed s2"),
            Cut(Rollback(1), Hook, Now, "cancelled", "1 superseded s1, 2 deployed s2, 3 pending-rollback s1"),
            Unlock(3),
            Cut(
                Rollback(2),
                Last,
                BySomebody,
                "killed",
                "1 superseded s1, 2 superseded s2, 3 failed s1, 4 pending-rollback s2",
            ),
        ],
    },
    Story {
        name: "rollbacks_that_somebody_ends_in_a_hook_stay_pending_and_can_be_removed",
        acts: &[
            Run(Install(WayBackFails), "succeeded", "1 deployed s1"),
            Cut(Rollback(1), Begun, BySomebody, "killed", "1 deployed s1, 2 pending-rollback s1"),
            Cut(Rollback(1), Hook, BySomebody, "killed", "1 deployed s1, 2 pending-rollback s1, 3 pending-rollback s1"),
            Cut(Uninstall, Before, Now, "cancelled", "1 deployed s1, 2 pending-rollback s1, 3 pending-rollback s1"),
            Cut(Uninstall, Before, BySomebody, "killed", "1 deployed s1, 2 pending-rollback s1, 3 pending-rollback s1"),
            Cut(Uninstall, Hook, BySomebody, "killed", "1 deployed s1, 2 pending-rollback s1, 3 uninstalling s1"),
            Cut(Uninstall, Hook, Now, "cancelled", "1 deployed s1, 2 pending-rollback s1, 3 uninstalling s1"),
        ],
    },
    Story {
        name: "removals_cut_off_with_their_objects_going_leave_the_record_until_they_are_made_again",
        acts: &[
            Run(Install(One), "succeeded", "1 deployed s1"),
            Happens(Pins(Page)),
            Cut(Uninstall, Begun, BySomebody, "killed", "1 uninstalling s1"),
            Cut(With(Waiting, &Uninstall), AtObjects, BySomebody, "killed", "1 uninstalling s1"),
            Cut(With(Waiting, &Uninstall), AtObjects, Now, "cancelled", "1 uninstalling s1"),
            There("Page 1.0.0 going"),
            Cut(Uninstall, Last, Now, "cancelled", "1 uninstalling s1"),
            Cut(Uninstall, Last, BySomebody, "killed", "1 uninstalling s1"),
            Run(Uninstall, "succeeded", ""),
        ],
    },
];
