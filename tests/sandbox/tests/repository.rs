//! The chart repository is right by default and wrong as it is told.

use std::io::Read;
use std::time::{Duration, Instant};

use bytes::Bytes;
use libtest_mimic::Failed;
use sandbox::charts::{self, Chart};
use sandbox::repository::{Behaviour, INDEX};
use sandbox::{Repository, Sandbox};

use super::{Test, http};
use crate::cluster::{helm, succeeded};

pub(crate) const TESTS: &[(&str, Test)] = &[
    ("helm_finds_and_installs_what_is_published", helm_finds_and_installs_what_is_published),
    ("archives_are_the_same_bytes_and_leave_out_what_is_ignored", archives_are_the_same_bytes),
    ("known_content_is_not_sent_again", known_content_is_not_sent_again),
    ("index_lies_and_versions_go", index_lies_and_versions_go),
    ("credentials_are_asked_for", credentials_are_asked_for),
    ("answers_are_as_bad_as_they_are_told_to_be", answers_are_as_bad_as_they_are_told_to_be),
];

fn check(condition: bool, text: impl Into<String>) -> Result<(), Failed> {
    if condition { Ok(()) } else { Err(text.into().into()) }
}

fn helm_finds_and_installs_what_is_published(sandbox: &Sandbox) -> Result<(), Failed> {
    let repository = Repository::start()?;
    for chart in charts::unicorn()? {
        repository.publish(&chart);
    }
    let url = repository.url();
    succeeded(&helm(sandbox, &["install", "found", "unicorn", "--repo", &url, "--version", "~1.2.0", "--wait"])?)?;
    let path = Repository::archive_path("unicorn", "1.2.0");
    check(repository.count(INDEX) == 1 && repository.count(&path) == 1, format!("{:?}", repository.asked()))
}

fn archives_are_the_same_bytes(sandbox: &Sandbox) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    for chart in charts::unicorn()?.into_iter().chain([charts::web("0.1.0")]) {
        check(chart.package() == chart.package(), "two packages differ")?;
        let path = chart.write(folder.path())?;
        succeeded(&helm(sandbox, &["template", "t", &path.to_string_lossy()])?)?;
        let mut text = Vec::new();
        flate2::read::GzDecoder::new(chart.package().as_slice()).read_to_end(&mut text)?;
        check(
            !String::from_utf8_lossy(&text).contains("unicorn/versions.yaml"),
            "the list of versions is in the archive",
        )?;
    }
    Ok(())
}

fn known_content_is_not_sent_again(_: &Sandbox) -> Result<(), Failed> {
    let repository = Repository::start()?;
    repository.publish(&charts::web("1.0.0"));
    let url = repository.url();
    let head = http::get(&url, INDEX)?.head;
    let tag = head.lines().find_map(|line| line.strip_prefix("etag: ")).ok_or("no tag")?.to_owned();
    let again = || http::ask("GET", &url, INDEX, &[("if-none-match", &tag)], "").map(|answer| answer.status);
    check(again()? == 304, "the index is known")?;
    repository.publish(&charts::web("1.1.0"));
    check(again()? == 200, "the index is new")
}

fn index_lies_and_versions_go(_: &Sandbox) -> Result<(), Failed> {
    let repository = Repository::start()?;
    repository.publish(&charts::web("1.0.0"));
    let right = repository.digest("web", "1.0.0").ok_or("no digest")?;
    repository.replace("web", "1.0.0", &Chart::new("web", "1.0.0"));
    let moved = repository.digest("web", "1.0.0").ok_or("no digest")?;
    repository.lie_about_digest("web", "1.0.0");
    let lie = repository.digest("web", "1.0.0").ok_or("no digest")?;
    check(right != moved && moved != lie, "three digests")?;
    check(http::get(&repository.url(), INDEX)?.body.contains(&lie), "the index tells the last of them")?;
    repository.remove("web", "1.0.0");
    check(http::get(&repository.url(), &Repository::archive_path("web", "1.0.0"))?.status == 404, "it is gone")
}

fn credentials_are_asked_for(sandbox: &Sandbox) -> Result<(), Failed> {
    let repository = Repository::start()?;
    repository.publish(&charts::web("1.0.0"));
    repository.require_basic("me", "secret");
    let url = repository.url();
    let show = ["show", "chart", "web", "--repo", url.as_str()];
    check(!helm(sandbox, &show)?.status.success(), "nobody may read")?;
    let with = [&show[..], &["--username", "me", "--password", "secret"]].concat();
    succeeded(&helm(sandbox, &with)?)
}

fn answers_are_as_bad_as_they_are_told_to_be(_: &Sandbox) -> Result<(), Failed> {
    let repository = Repository::start()?;
    repository.publish(&charts::web("1.0.0"));
    let url = repository.url();
    let whole = http::get(&url, INDEX)?.body;
    repository.behave_times(INDEX, Behaviour::status(503), 1);
    check(http::get(&url, INDEX)?.status == 503 && http::get(&url, INDEX)?.status == 200, "one failure")?;
    repository.behave(INDEX, Behaviour::Redirect("/elsewhere".to_owned()));
    check(http::get(&url, INDEX)?.head.contains("location: /elsewhere"), "a redirection")?;
    repository.behave(INDEX, Behaviour::Body(Bytes::from_static(b"<html>")));
    check(http::get(&url, INDEX)?.body == "<html>", "no index")?;
    for bad in [Behaviour::BrokenOff(10), Behaviour::Shortened(10)] {
        repository.behave(INDEX, bad.clone());
        let part = http::get(&url, INDEX)?;
        check(part.body == whole[..10], format!("{bad:?}: {}", part.body))?;
        let length = format!("content-length: {}", if bad == Behaviour::Shortened(10) { 10 } else { whole.len() });
        check(part.head.contains(&length), format!("{bad:?}: {}", part.head))?;
    }
    repository.behave(INDEX, Behaviour::Drop);
    check(http::get(&url, INDEX).is_err(), "no answer")?;
    let every = Duration::from_millis(20);
    repository.behave(INDEX, Behaviour::Drip { bytes: whole.len().div_ceil(5), every });
    let begin = Instant::now();
    http::get(&url, INDEX)?;
    check(begin.elapsed() >= every * 4, "drop by drop")?;
    repository.behave(INDEX, Behaviour::Endless);
    let mut endless = http::open("GET", &url, INDEX, &[], "")?.take(5_000_000);
    check(endless.read_to_end(&mut Vec::new())? == 5_000_000, "more and more")
}
