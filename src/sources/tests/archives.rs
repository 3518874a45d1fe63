//! Archives that must not reach helm, and what is learned from good ones.

use std::io::Write as _;

use semver::Version;
use serde_json::json;
use tar::EntryType;

use super::scenery::{Member, chart_yaml, file, special, tgz, unicorn};
use crate::{
    release::{ChartContent, Difference},
    sources::{
        SourceSettings,
        archive::{Allowance, Flaw},
        content::content,
        facts::{ChartFacts, crd_files, inspect},
    },
    types::ChartName,
};

fn allowance() -> Allowance {
    Allowance::of(&SourceSettings::new("unused".into()))
}

fn look(archive: &[u8], allowance: Allowance) -> Result<ChartFacts, String> {
    let name = ChartName::parse("unicorn").unwrap();
    let inspected = inspect(archive, allowance, &name, &Version::new(1, 0, 0));
    inspected.map(|inspected| inspected.facts).map_err(|Flaw(why)| why)
}

fn facts(members: Vec<Member>) -> Result<ChartFacts, String> {
    let all: Vec<_> = std::iter::once(chart_yaml("unicorn", "1.0.0")).chain(members).collect();
    look(&tgz(&all), allowance())
}

fn refused(members: Vec<Member>, because: &str) {
    let why = facts(members).expect_err(because);
    assert!(why.contains(because), "{why:?} does not say {because:?}");
}

#[test]
fn good_chart_passes_and_has_no_traits() {
    assert_eq!(look(&unicorn("1.0.0"), allowance()), Ok(ChartFacts { hooks: false, crds: false, library: false }));
}

#[test]
fn hooks_and_crds_are_found_in_packed_subcharts() {
    let inner = tgz(&[
        file("db/Chart.yaml", "name: db\nversion: 1.0.0\n"),
        file("db/crds/x.yaml", "kind: CustomResourceDefinition"),
        file("db/templates/j.yaml", "annotations: {\"helm.sh/hook\": pre-install}"),
    ]);
    let member = || vec![file("unicorn/charts/db-1.0.0.tgz", inner.clone())];
    assert_eq!(facts(member()), Ok(ChartFacts { hooks: true, crds: true, library: false }));
    let all: Vec<_> = std::iter::once(chart_yaml("unicorn", "1.0.0")).chain(member()).collect();
    let files = crd_files(&tgz(&all)[..], allowance()).unwrap();
    assert_eq!(files.len(), 1);
    assert_eq!(files[0].path, "charts/db-1.0.0.tgz/crds/x.yaml");
    assert_eq!(files[0].content, b"kind: CustomResourceDefinition");
}

#[test]
fn content_is_sorted_as_helm_sorts_it() {
    let read = |members: Vec<Member>| {
        let all: Vec<_> = std::iter::once(chart_yaml("unicorn", "1.0.0")).chain(members).collect();
        content(&tgz(&all)[..], allowance()).unwrap()
    };
    let mut by_hand = ChartContent::default();
    by_hand.about(&json!({"name": "unicorn", "version": "1.0.0", "apiVersion": "v2", "appVersion": "pink"}));
    by_hand.defaults(&json!({"on": true, "mode": 511, "tag": null}));
    by_hand.template("templates/a.yaml", b"a");
    by_hand.file("README.md", b"b");
    by_hand.file("crds/x.yaml", b"c");
    let members = || {
        vec![
            file("unicorn/values.yaml", "\"on\": yes\nmode: 0777\ntag:\n"),
            file("unicorn/templates/a.yaml", "a"),
            file("unicorn/README.md", "b"),
            file("unicorn/crds/x.yaml", "c"),
            file("unicorn/Chart.lock", "is not compared"),
        ]
    };
    assert_eq!(read(members()).differences(&by_hand), []);
    for subchart in ["charts/db/Chart.yaml", "requirements.yaml"] {
        let mut more = members();
        more.push(file(&format!("unicorn/{subchart}"), "name: db"));
        let with = read(more);
        assert_eq!(with.differences(&by_hand), [Difference::Subcharts], "{subchart}");
    }
    let not_read = tgz(&[chart_yaml("unicorn", "1.0.0"), file("unicorn/values.yaml", "password: [hunter2")]);
    let Flaw(why) = content(&not_read[..], allowance()).unwrap_err();
    assert_eq!(why, "values.yaml is not read as YAML");
}

#[test]
fn library_chart_is_known() {
    let archive = tgz(&[file("x/Chart.yaml", "name: unicorn\nversion: v1.0.0\ntype: library\n")]);
    assert_eq!(look(&archive, allowance()), Ok(ChartFacts { hooks: false, crds: false, library: true }));
}

#[test]
fn paths_stay_below_one_directory() {
    refused(vec![file("unicorn/../../etc/x", "")], "leaves its directory");
    refused(vec![file("/etc/x", "")], "not a relative path");
    refused(vec![file("unicorn\\..\\x", "")], "not a relative path");
    refused(vec![file("C:/x", "")], "not a relative path");
    refused(vec![file("./unicorn/x", "")], "leaves its directory");
    refused(vec![file("unicorn//x", "")], "leaves its directory");
    refused(vec![file("unicorn/a\x1b[2Jb", "")], "control characters");
    refused(vec![file("other/x", "")], "second top directory");
    refused(vec![file("loose", "")], "not in the directory of the chart");
    refused(vec![file("unicorn/a", ""), file("unicorn/a", "")], "there twice");
    let long = b"unicorn/../../x\0".to_vec();
    refused(vec![special("L", EntryType::GNULongName, long), file("unicorn/x", "")], "leaves its directory");
    let pax = b"24 path=unicorn/../../x\n".to_vec();
    refused(vec![special("x", EntryType::XHeader, pax), file("unicorn/x", "")], "leaves its directory");
}

#[test]
fn only_files_and_directories_are_in_a_chart() {
    refused(vec![special("unicorn/l", EntryType::Symlink, "")], "is a link");
    refused(vec![special("unicorn/l", EntryType::Link, "")], "is a link");
    for kind in [EntryType::Char, EntryType::Block, EntryType::Fifo, EntryType::GNUSparse, EntryType::GNULongLink] {
        refused(vec![special("unicorn/d", kind, "")], "neither a file nor a directory");
    }
    refused(vec![special("x", EntryType::XHeader, "10 size=0\n"), file("unicorn/x", "")], "contradicts its entry");
    assert!(facts(vec![special("unicorn/templates/", EntryType::Directory, "")]).is_ok());
    assert!(facts(vec![special("g", EntryType::XGlobalHeader, "17 comment=abcde\n")]).is_ok());
}

#[test]
fn limits_hold_before_anything_is_read() {
    let zeros = vec![0; 1 << 20];
    let bomb =
        tgz(&[chart_yaml("unicorn", "1.0.0"), file("unicorn/a", zeros.clone()), file("unicorn/b", zeros.clone())]);
    assert!(bomb.len() < 64 << 10);
    let unpacked = look(&bomb, Allowance { unpacked_bytes: 1 << 20, ..allowance() });
    assert_eq!(unpacked, Err("it unpacks to more than the limit".to_owned()));
    let single = look(&bomb, Allowance { file_bytes: 1 << 19, ..allowance() });
    assert!(single.is_err_and(|why| why.contains("more than the limit of 524288")));
    let many: Vec<_> = (0..100).map(|n| file(&format!("unicorn/{n}"), "")).collect();
    let all: Vec<_> = std::iter::once(chart_yaml("unicorn", "1.0.0")).chain(many).collect();
    let files = look(&tgz(&all), Allowance { files: 100, ..allowance() });
    assert_eq!(files, Err("it has too many entries".to_owned()));
    refused(vec![special("x", EntryType::XHeader, zeros)], "more than the limit of 65536");
}

#[test]
fn nested_archives_share_the_limits_and_end_somewhere() {
    let mut inner = tgz(&[file("a/Chart.yaml", "")]);
    for _ in 0..6 {
        inner = tgz(&[file("a/Chart.yaml", ""), file("a/charts/a.tgz", inner)]);
    }
    refused(vec![file("unicorn/charts/a.tgz", inner)], "nested too deep");
    let bomb = tgz(&[file("a/Chart.yaml", vec![0; 1 << 20])]);
    let all = [chart_yaml("unicorn", "1.0.0"), file("unicorn/charts/a.tgz", bomb)];
    let why = look(&tgz(&all), Allowance { unpacked_bytes: 1 << 20, ..allowance() });
    assert!(why.is_err_and(|why| why.contains("unpacks to more than the limit")));
}

#[test]
fn damaged_archives_are_refused() {
    let good = tgz(&[
        chart_yaml("unicorn", "1.0.0"),
        file("unicorn/templates/a.yaml", (0..9_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<_>>()),
    ]);
    for length in [0, 1, 10, good.len() / 2, good.len() - 1] {
        assert!(look(&good[..length], allowance()).is_err(), "{length} bytes were accepted");
    }
    let mut longer = good.clone();
    longer.extend(unicorn("1.0.0"));
    assert!(look(&longer, allowance()).is_err_and(|why| why == "it goes on after its end"));
    let mut noise = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    noise.write_all(&[7; 4096]).unwrap();
    assert!(look(&noise.finish().unwrap(), allowance()).is_err());
    assert!(look(&tgz(&[]), allowance()).is_err_and(|why| why == "it is empty"));
    assert!(look(&tgz(&[file("unicorn/x", "")]), allowance()).is_err_and(|why| why == "it has no Chart.yaml"));
}

#[test]
fn another_chart_inside_is_named() {
    let other = look(&tgz(&[chart_yaml("horse", "1.0.0")]), allowance());
    assert_eq!(other, Err("the chart inside is named \"horse\"".to_owned()));
    let version = look(&unicorn("1.0.1"), allowance());
    assert_eq!(version, Err("the chart inside has the version \"1.0.1\"".to_owned()));
    let broken = look(&tgz(&[file("unicorn/Chart.yaml", "name: [")]), allowance());
    assert!(broken.is_err_and(|why| why.starts_with("Chart.yaml: ")));
}
