//! Archives on their way into the store, and who may see the credentials on that way.

use std::sync::{Arc, Mutex};

use futures::future::join_all;

use super::scenery::{
    Reply, Server, chart_yaml, credentials, file, good_repository, index_of, patience_for, room, room_in, special, tgz,
    unicorn,
};
use crate::{
    sources::{ChartRequest, SourceError, Sources, StoredChart},
    types::ChartDigest,
};

async fn get(sources: &Sources, request: &ChartRequest) -> Result<StoredChart, SourceError> {
    let chart = sources.resolve(request).await?;
    sources.fetch(&chart, request.credentials.as_ref()).await
}

/// Serves the archive under an index that names `digest`.
async fn repository(digest: String, answer: impl Fn() -> Reply + Send + Sync + 'static) -> Server {
    let index = index_of("1.0.0", &digest, "unicorn.tgz");
    Server::start(move |seen| if seen.path == "/index.yaml" { Reply::ok(index.clone()) } else { answer() }).await
}

async fn failure(digest: String, answer: impl Fn() -> Reply + Send + Sync + 'static) -> SourceError {
    let patience = patience_for(&answer());
    let server = repository(digest, answer).await;
    let (sources, directory) = room(|settings| {
        settings.archive_bytes_max = 1 << 20;
        settings.unpacked_bytes_max = 1 << 20;
        settings.timeout = patience;
    });
    let error = get(&sources, &server.request("unicorn", "*")).await.unwrap_err();
    assert!(!error.to_string().contains('\n'));
    let left: Vec<_> = std::fs::read_dir(directory.path().join("charts/sha256")).unwrap().collect();
    assert!(left.is_empty(), "{left:?} is left behind by {error}");
    error
}

#[tokio::test]
async fn good_archive_is_stored_once_and_survives_a_restart() {
    let archive = unicorn("1.0.0");
    let digest = ChartDigest::of(&archive);
    let server = Server::start(good_repository(archive.clone())).await;
    let (sources, directory) = room(|_| {});
    let request = server.request("unicorn", "pink");
    let stored = get(&sources, &request).await.unwrap();
    assert_eq!((stored.digest, &*stored.app_version, stored.version.to_string().as_str()), (digest, "pink", "1.0.0"));
    assert!(stored.path.is_absolute() && stored.path.ends_with(format!("charts/sha256/{}.tgz", digest.hex())));
    assert_eq!(std::fs::read(&stored.path).unwrap(), archive);
    get(&sources, &request).await.unwrap();
    drop(sources);
    let restarted = room_in(&directory, |_| {});
    assert_eq!(get(&restarted, &request).await.unwrap().facts, stored.facts);
    assert!(restarted.stored(&digest).await.is_some());
    assert!(restarted.stored(&ChartDigest::of(b"other")).await.is_none());
    assert_eq!(server.count("/unicorn.tgz"), 1);
    assert!(restarted.crd_files(&stored).await.unwrap().is_empty());
}

#[tokio::test]
async fn file_damaged_while_nobody_ran_is_fetched_again() {
    let archive = unicorn("1.0.0");
    let server = Server::start(good_repository(archive.clone())).await;
    let (sources, directory) = room(|_| {});
    let request = server.request("unicorn", "*");
    let stored = get(&sources, &request).await.unwrap();
    drop(sources);
    std::fs::write(&stored.path, b"").unwrap();
    let restarted = room_in(&directory, |_| {});
    assert_eq!(std::fs::read(get(&restarted, &request).await.unwrap().path).unwrap(), archive);
    std::fs::remove_file(&stored.path).unwrap();
    assert_eq!(std::fs::read(get(&restarted, &request).await.unwrap().path).unwrap(), archive);
    assert_eq!(server.count("/unicorn.tgz"), 3);
}

#[tokio::test]
async fn many_callers_fetch_once() {
    let server = Server::start(good_repository(unicorn("1.0.0"))).await;
    let (sources, _directory) = room(|_| {});
    let request = server.request("unicorn", "*");
    let results = join_all((0..50).map(|_| get(&sources, &request))).await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!((server.count("/index.yaml"), server.count("/unicorn.tgz")), (1, 1));
}

#[tokio::test]
async fn archive_without_a_promised_digest_is_stored_under_its_own() {
    let archive = unicorn("1.0.0");
    let digest = ChartDigest::of(&archive);
    let server = repository(String::new(), move || Reply::ok(archive.clone())).await;
    let (sources, _directory) = room(|_| {});
    assert_eq!(get(&sources, &server.request("unicorn", "*")).await.unwrap().digest, digest);
}

#[tokio::test]
async fn other_bytes_than_promised_are_never_stored() {
    let error = failure("a".repeat(64), || Reply::ok(unicorn("1.0.0"))).await;
    assert_eq!((error.reason(), error.is_transient()), ("digest_mismatch", false));
}

#[tokio::test]
async fn bad_archives_are_never_stored() {
    let whole = unicorn("1.0.0");
    let cut = whole[..whole.len() / 2].to_vec();
    let traversal = tgz(&[chart_yaml("unicorn", "1.0.0"), file("unicorn/../../x", "")]);
    let link = tgz(&[chart_yaml("unicorn", "1.0.0"), special("unicorn/l", tar::EntryType::Symlink, "")]);
    let bomb = tgz(&[chart_yaml("unicorn", "1.0.0"), file("unicorn/a", vec![0; 2 << 20])]);
    let page = b"<html>not here</html>".to_vec();
    for archive in [cut, traversal, link, bomb, page, tgz(&[chart_yaml("horse", "1.0.0")]), unicorn("1.0.1")] {
        let error = failure(ChartDigest::of(&archive).hex(), move || Reply::ok(archive.clone())).await;
        assert_eq!((error.reason(), error.is_transient()), ("bad_archive", false), "{error}");
    }
}

#[tokio::test]
async fn transfers_of_archives_are_bounded() {
    assert_eq!(failure(String::new(), || Reply::Endless).await.reason(), "too_large");
    assert_eq!(failure(String::new(), || Reply::Stuck).await.reason(), "timeout");
    assert_eq!(failure(String::new(), || Reply::Cut).await.reason(), "unreachable");
    assert_eq!(failure(String::new(), || Reply::status(404)).await.reason(), "not_found");
    assert_eq!(failure(String::new(), || Reply::status(503)).await.reason(), "server_error");
}

#[tokio::test]
async fn credentials_stay_with_their_host() {
    let archive = unicorn("1.0.0");
    let digest = ChartDigest::of(&archive).hex();
    let stranger = Server::start({
        let archive = archive.clone();
        move |_| Reply::ok(archive.clone())
    })
    .await;
    let elsewhere = format!("{}/x.tgz?signature=1", stranger.url());
    // Archive on another host: by the index, and by a redirect, which also leads back home.
    for (url, redirect) in [(elsewhere.clone(), None), ("unicorn.tgz".to_owned(), Some(elsewhere.clone()))] {
        let index = index_of("1.0.0", &digest, &url);
        let server = Server::start(move |seen| match (seen.path.as_str(), &redirect) {
            ("/index.yaml", _) => Reply::ok(index.clone()),
            (_, Some(to)) => Reply::redirect(to),
            _ => Reply::status(404),
        })
        .await;
        let (sources, _directory) = room(|_| {});
        let mut request = server.request("unicorn", "*");
        request.credentials = Some(credentials());
        get(&sources, &request).await.unwrap();
        assert!(server.seen().iter().all(|seen| seen.headers.contains_key("authorization")));
    }
    assert_eq!(stranger.seen().len(), 2);
    for seen in stranger.seen() {
        assert!(!seen.headers.contains_key("authorization") && !seen.headers.contains_key("referer"), "{seen:?}");
    }
}

#[tokio::test]
async fn host_that_points_back_gets_no_credentials_home() {
    let home: Arc<Mutex<String>> = Arc::default();
    let stranger = Server::start({
        let home = Arc::clone(&home);
        move |_| Reply::redirect(&format!("{}/admin", home.lock().unwrap()))
    })
    .await;
    let to = stranger.url();
    let server =
        Server::start(move |seen| if seen.path == "/index.yaml" { Reply::redirect(&to) } else { Reply::status(403) })
            .await;
    *home.lock().unwrap() = server.url();
    let (sources, _directory) = room(|_| {});
    let mut request = server.request("unicorn", "*");
    request.credentials = Some(credentials());
    assert_eq!(sources.resolve(&request).await.unwrap_err().reason(), "unauthorized");
    let seen = server.seen();
    assert!(seen[0].headers.contains_key("authorization") && !seen[1].headers.contains_key("authorization"));
}

#[tokio::test]
async fn redirects_end() {
    let round = Server::start(|_| Reply::redirect("/index.yaml")).await;
    let (sources, _directory) = room(|_| {});
    let error = sources.resolve(&round.request("unicorn", "*")).await.unwrap_err();
    assert_eq!(error.reason(), "redirect_refused");
    assert_eq!(round.count("/index.yaml"), 6);
    for to in ["ftp://x/y", "http://user:secret@127.0.0.1/", "file:///etc/passwd"] {
        let server = Server::start(move |_| Reply::redirect(to)).await;
        let error = sources.resolve(&server.request("unicorn", "*")).await.unwrap_err();
        assert_eq!(error.reason(), "redirect_refused", "{to}");
    }
    let nowhere = Server::start(|_| Reply::status(302)).await;
    assert_eq!(sources.resolve(&nowhere.request("unicorn", "*")).await.unwrap_err().reason(), "redirect_refused");
}

#[tokio::test]
async fn knowing_a_digest_does_not_open_the_store() {
    let archive = unicorn("1.0.0");
    let digest = ChartDigest::of(&archive).hex();
    let owner = Server::start(good_repository(archive)).await;
    let (sources, _directory) = room(|_| {});
    get(&sources, &owner.request("unicorn", "*")).await.unwrap();
    let thief = repository(digest, || Reply::status(404)).await;
    assert_eq!(get(&sources, &thief.request("unicorn", "*")).await.unwrap_err().reason(), "not_found");
}

#[tokio::test]
async fn store_forgets_what_was_not_used_for_longest_and_nobody_holds() {
    let version = |n: u64| format!("{n}.0.0");
    let archives: Vec<_> = (1..=4).map(|n| unicorn(&version(n))).collect();
    let index = (1..=4).zip(&archives).fold("entries:\n  unicorn:\n".to_owned(), |index, (n, archive)| {
        format!("{index}  - {{version: {}, digest: {}, urls: [{n}.tgz]}}\n", version(n), ChartDigest::of(archive))
    });
    let largest = archives.iter().map(Vec::len).max().unwrap() as u64;
    let digests: Vec<_> = archives.iter().map(|archive| ChartDigest::of(archive)).collect();
    let server = Server::start(move |seen| match seen.path.as_str() {
        "/1.tgz" => Reply::ok(archives[0].clone()),
        "/2.tgz" => Reply::ok(archives[1].clone()),
        "/3.tgz" => Reply::ok(archives[2].clone()),
        "/4.tgz" => Reply::ok(archives[3].clone()),
        _ => Reply::ok(index.clone()),
    })
    .await;
    let (sources, _directory) = room(|settings| settings.store_bytes_max = largest * 2 + largest / 2);
    let held = get(&sources, &server.request("unicorn", "1.0.0")).await.unwrap();
    drop(get(&sources, &server.request("unicorn", "2.0.0")).await.unwrap());
    drop(get(&sources, &server.request("unicorn", "3.0.0")).await.unwrap());
    assert!(held.path.is_file() && sources.stored(&digests[1]).await.is_none());
    drop(held);
    drop(sources.stored(&digests[2]).await);
    drop(get(&sources, &server.request("unicorn", "4.0.0")).await.unwrap());
    assert!(sources.stored(&digests[0]).await.is_none());
    assert!(sources.stored(&digests[2]).await.is_some() && sources.stored(&digests[3]).await.is_some());
}

#[tokio::test]
async fn plain_http_is_refused_on_every_hop_unless_allowed() {
    let server = Server::start(good_repository(unicorn("1.0.0"))).await;
    let (sources, _directory) = room(|settings| settings.allow_http = false);
    let error = sources.resolve(&server.request("unicorn", "*")).await.unwrap_err();
    assert_eq!(error.reason(), "http_refused");
    assert!(server.seen().is_empty());
}
