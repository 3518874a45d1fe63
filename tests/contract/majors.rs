//! What helm 3 and helm 4 do each in their own way. helm 4 applies on the server, where fields have owners; helm 3 does
//! not know that, and writes what its chart says.

use super::{
    Act::{Happens, Run, There},
    Ask::{Install, Rollback, Uninstall, Upgrade, With},
    Deed::{Holds, IsTaken},
    Differing,
    Flavour::{One, Two},
    How::Forced,
    Part::Page,
};

pub(super) const STORIES: &[Differing] = &[
    Differing {
        name: "fields_that_others_hold_are_left_to_them_by_an_upgrade_unless_that_is_forced",
        helm_3: &[
            Run(Install(One), "succeeded", "1 deployed s1"),
            Happens(Holds(Page)),
            There("Page held"),
            Run(Upgrade(Two), "succeeded", "1 superseded s1, 2 deployed s2"),
            There("Page 1.1.0, Extra 1.1.0"),
        ],
        helm_4: &[
            Run(Install(One), "succeeded", "1 deployed s1"),
            Happens(Holds(Page)),
            There("Page held"),
            Run(Upgrade(Two), "failed Conflict", "1 deployed s1, 2 failed s2"),
            There("Page held, Extra 1.1.0"),
            Run(With(Forced, &Upgrade(Two)), "succeeded", "1 superseded s1, 2 failed s2, 3 deployed s3"),
            There("Page 1.1.0, Extra 1.1.0"),
        ],
    },
    Differing {
        name: "fields_that_others_hold_are_left_to_them_by_a_rollback_unless_that_is_forced",
        helm_3: &[
            Run(Install(One), "succeeded", "1 deployed s1"),
            Run(Upgrade(Two), "succeeded", "1 superseded s1, 2 deployed s2"),
            Happens(Holds(Page)),
            Run(Rollback(1), "succeeded", "1 superseded s1, 2 superseded s2, 3 deployed s1"),
            There("Page 1.0.0"),
        ],
        helm_4: &[
            Run(Install(One), "succeeded", "1 deployed s1"),
            Run(Upgrade(Two), "succeeded", "1 superseded s1, 2 deployed s2"),
            Happens(Holds(Page)),
            Run(Rollback(1), "failed Conflict", "1 superseded s1, 2 superseded s2, 3 failed s1"),
            There("Page held, Extra 1.1.0"),
            Run(
                With(Forced, &Rollback(1)),
                "succeeded",
                "1 superseded s1, 2 superseded s2, 3 failed s1, 4 deployed s1",
            ),
            // helm compares with what is newest: the remains of the first one, which have no Extra.
            There("Page 1.0.0, Extra 1.1.0"),
        ],
    },
    Differing {
        name: "objects_that_another_release_has_taken_are_left_by_a_removal",
        helm_3: &[
            Run(Install(One), "succeeded", "1 deployed s1"),
            Happens(IsTaken(Page)),
            Run(Uninstall, "succeeded", ""),
            There(""),
        ],
        helm_4: &[
            Run(Install(One), "succeeded", "1 deployed s1"),
            Happens(IsTaken(Page)),
            Run(Uninstall, "succeeded", ""),
            There("Page another of another release"),
        ],
    },
];
