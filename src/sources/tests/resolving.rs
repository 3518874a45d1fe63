//! Repositories as they are: good, refusing, slow, endless, lying.

use std::{
    io::Write as _,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use futures::future::join_all;

use super::scenery::{Reply, Server, credentials, good_repository, index_of, patience_for, room, unicorn};
use crate::sources::{RepositoryUrl, SourceError};

async fn failure(answer: impl Fn() -> Reply + Send + Sync + 'static) -> SourceError {
    let patience = patience_for(&answer());
    let server = Server::start(move |_| answer()).await;
    let (sources, _directory) = room(|settings| {
        settings.index_bytes_max = 1 << 20;
        settings.timeout = patience;
    });
    let error = sources.resolve(&server.request("unicorn", "*")).await.unwrap_err();
    let message = error.to_string();
    assert!(message.starts_with(&server.url()) && !message.contains('\n'), "{message}");
    error
}

#[tokio::test]
async fn answers_become_reasons() {
    for (status, reason, transient) in [
        (401, "unauthorized", false),
        (403, "unauthorized", false),
        (404, "not_found", false),
        (410, "not_found", false),
        (418, "unexpected_answer", false),
        (204, "unexpected_answer", false),
        (304, "unexpected_answer", false),
        (408, "server_error", true),
        (429, "throttled", true),
        (500, "server_error", true),
        (503, "server_error", true),
    ] {
        let error = failure(move || Reply::status(status)).await;
        assert_eq!((error.reason(), error.is_transient()), (reason, transient), "{status}");
    }
    let error = failure(|| Reply::status(401)).await.to_string();
    assert!(error.ends_with("answered 401: the repository wants credentials; name a Secret with username and password in spec.chart.secretRef"));
}

#[tokio::test]
async fn server_says_when_to_come_back() {
    let wait = |value: &'static str| async move {
        failure(move || Reply::Status(429, vec![("retry-after", value.to_owned())], Vec::new())).await.retry_after()
    };
    assert_eq!(wait("7").await, Some(Duration::from_secs(7)));
    assert_eq!(wait("999999999").await, Some(Duration::from_secs(3600)));
    assert_eq!(wait("Wed, 21 Oct 2015 07:28:00 GMT").await, Some(Duration::ZERO));
    assert_eq!(wait("soon").await, None);
}

#[tokio::test]
async fn bodies_are_bounded_in_size_and_time() {
    assert_eq!(failure(|| Reply::Endless).await.reason(), "too_large");
    assert_eq!(failure(|| Reply::Stuck).await.reason(), "timeout");
    let cut = failure(|| Reply::Cut).await;
    assert_eq!((cut.reason(), cut.is_transient()), ("unreachable", true));
    let page = failure(|| Reply::ok("<html><script>alert(1)</script></html>")).await;
    assert_eq!(page.reason(), "not_an_index");
    assert!(page.to_string().contains("it is a web page"));
}

#[tokio::test]
async fn compressed_bodies_are_read_and_bounded() {
    let gzip = |body: &[u8]| {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(body).unwrap();
        gzip.finish().unwrap()
    };
    let small = gzip(index_of("1.0.0", "", "a.tgz").as_bytes());
    let server =
        Server::start(move |_| Reply::Status(200, vec![("content-encoding", "gzip".to_owned())], small.clone())).await;
    let (sources, _directory) = room(|_| {});
    assert_eq!(sources.resolve(&server.request("unicorn", "*")).await.unwrap().version().to_string(), "1.0.0");
    let bomb = gzip(format!("entries: {{}}\nx: {}\n", "a".repeat(2 << 20)).as_bytes());
    assert_eq!(failure(move || Reply::ok(bomb.clone())).await.reason(), "not_an_index");
}

#[tokio::test]
async fn nobody_there_is_transient() {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}/charts", listener.local_addr().unwrap());
    drop(listener);
    let server = Server::start(|_| Reply::status(500)).await;
    let (sources, _directory) = room(|_| {});
    let mut request = server.request("unicorn", "*");
    request.repository = RepositoryUrl::parse(&url, true).unwrap();
    let error = sources.resolve(&request).await.unwrap_err();
    assert_eq!((error.reason(), error.is_transient()), ("unreachable", true));
    assert!(error.to_string().to_lowercase().contains("refused"), "{error}");
}

#[tokio::test]
async fn missing_chart_and_missing_version_are_told_apart() {
    let index = "entries:\n  unicorn:\n  - version: 1.0.0\n  - version: 1.2.0\n  - version: 1.1.0\n  - version: 2.0.0-rc.1\n  - version: 0.1.0\n";
    let server = Server::start(move |_| Reply::ok(index)).await;
    let (sources, _directory) = room(|_| {});
    let absent = sources.resolve(&server.request("horse", "*")).await.unwrap_err();
    assert_eq!(absent.reason(), "chart_absent");
    let error = sources.resolve(&server.request("unicorn", "^9")).await.unwrap_err();
    assert_eq!(error.reason(), "version_absent");
    let message = error.to_string();
    assert!(
        message.ends_with("has no version of unicorn that matches \"^9\"; the newest there: 1.2.0, 1.1.0, 1.0.0"),
        "{message}"
    );
    let unusable = sources.resolve(&server.request("unicorn", "1.0.0")).await.unwrap_err();
    assert_eq!(unusable.reason(), "entry_unusable");
}

#[tokio::test]
async fn entries_that_cannot_be_trusted_are_refused_when_chosen() {
    let digest = |c: char| c.to_string().repeat(64);
    let index = format!(
        "entries:\n  unicorn:\n  - {{version: 1.0.0, digest: {a}, urls: [a.tgz]}}\n  - {{version: 1.0.0, digest: {b}, urls: [b.tgz]}}\n  \
         - {{version: 1.1.0, digest: nonsense, urls: [a.tgz]}}\n  - {{version: 1.2.0, urls: ['oci://x/y']}}\n  \
         - {{version: 1.3.0, urls: ['http://user:secret@x/y']}}\n  - {{version: 1.4.0, urls: ['file:///etc/passwd']}}\n",
        a = digest('a'),
        b = digest('b')
    );
    let server = Server::start(move |_| Reply::ok(index.clone())).await;
    let (sources, _directory) = room(|_| {});
    for (version, why) in [
        ("1.0.0", "listed twice"),
        ("1.1.0", "not a SHA-256"),
        ("1.2.0", "oci://"),
        ("1.3.0", "holds credentials"),
        ("1.4.0", "neither https nor http"),
    ] {
        let error = sources.resolve(&server.request("unicorn", version)).await.unwrap_err();
        let message = error.to_string();
        assert!(
            error.reason() == "entry_unusable" && message.contains(why) && !message.contains("secret@"),
            "{message}"
        );
    }
    assert_eq!(server.count("/index.yaml"), 1);
}

#[tokio::test]
async fn fifty_callers_cost_one_request_also_when_it_fails() {
    for (answer, good) in [(200, true), (500, false)] {
        let index = index_of("1.0.0", "", "a.tgz");
        let server = Server::start(move |_| Reply::Status(answer, Vec::new(), index.clone().into())).await;
        let (sources, _directory) = room(|settings| settings.index_fresh_for = Duration::ZERO);
        let request = server.request("unicorn", "*");
        let results = join_all((0..50).map(|_| sources.resolve(&request))).await;
        assert!(results.iter().all(|result| result.is_ok() == good));
        assert_eq!(server.count("/index.yaml"), 1, "answer {answer}");
    }
}

#[tokio::test]
async fn charts_asked_for_later_cost_no_request_while_the_index_is_fresh() {
    let index = "entries:\n  a: [{version: 1.0.0, urls: [x]}]\n  b: [{version: 2.0.0, urls: [x]}]\n";
    let server = Server::start(move |_| Reply::ok(index)).await;
    let (sources, _directory) = room(|_| {});
    assert_eq!(sources.resolve(&server.request("a", "*")).await.unwrap().version().to_string(), "1.0.0");
    assert_eq!(sources.resolve(&server.request("b", "*")).await.unwrap().version().to_string(), "2.0.0");
    assert_eq!(server.count("/index.yaml"), 1);
}

#[tokio::test]
async fn stale_index_is_asked_for_with_its_validators() {
    let asked = AtomicUsize::new(0);
    let index = index_of("1.0.0", "", "a.tgz");
    let server = Server::start(move |seen| {
        if seen.headers.get("if-none-match").is_some_and(|tag| tag == "\"one\"") {
            assert!(seen.headers.contains_key("if-modified-since"));
            return Reply::status(304);
        }
        assert_eq!(asked.fetch_add(1, Ordering::Relaxed), 0);
        let headers =
            vec![("etag", "\"one\"".to_owned()), ("last-modified", "Wed, 21 Oct 2015 07:28:00 GMT".to_owned())];
        Reply::Status(200, headers, index.clone().into())
    })
    .await;
    let (sources, _directory) = room(|settings| settings.index_fresh_for = Duration::ZERO);
    for _ in 0..3 {
        sources.resolve(&server.request("unicorn", "*")).await.unwrap();
    }
    // A chart that was not parsed before is found in the body that is still at hand.
    assert_eq!(sources.resolve(&server.request("horse", "*")).await.unwrap_err().reason(), "chart_absent");
    assert_eq!(server.count("/index.yaml"), 4);
}

#[tokio::test]
async fn caller_that_goes_away_leaves_the_others_unharmed() {
    let asked = AtomicUsize::new(0);
    let index = index_of("1.0.0", "", "a.tgz");
    let server =
        Server::start(
            move |_| {
                if asked.fetch_add(1, Ordering::Relaxed) == 0 { Reply::Stuck } else { Reply::ok(index.clone()) }
            },
        )
        .await;
    let (sources, _directory) = room(|_| {});
    let request = server.request("unicorn", "*");
    let first = tokio::spawn({
        let (sources, request) = (sources.clone(), request.clone());
        async move { sources.resolve(&request).await }
    });
    while server.count("/index.yaml") == 0 {
        tokio::task::yield_now().await;
    }
    let (second, ()) = tokio::join!(sources.resolve(&request), async { first.abort() });
    assert!(second.is_ok());
}

#[tokio::test]
async fn credentials_separate_what_is_known_and_are_never_shown() {
    let archive = unicorn("1.0.0");
    let good = good_repository(archive);
    let server = Server::start(move |seen| {
        // anna:hunter2
        if seen.headers.get("authorization").is_some_and(|value| value == "Basic YW5uYTpodW50ZXIy") {
            good(seen)
        } else {
            Reply::status(401)
        }
    })
    .await;
    let (sources, _directory) = room(|_| {});
    let mut request = server.request("unicorn", "*");
    request.credentials = Some(credentials());
    assert!(sources.resolve(&request).await.is_ok());
    request.credentials = None;
    assert_eq!(sources.resolve(&request).await.unwrap_err().reason(), "unauthorized");
    let mut wrong = credentials();
    wrong.username = "bert".to_owned();
    request.credentials = Some(wrong);
    let error = sources.resolve(&request).await.unwrap_err();
    assert!(error.to_string().contains("does not accept the credentials"));
    assert!(!format!("{error:?}{request:?}{sources:?}").contains("hunter2"));
}

#[test]
fn repository_urls_are_normalised_and_hold_nothing_secret() {
    let parse = |text: &str| RepositoryUrl::parse(text, false).map(|url| url.to_string());
    for same in ["https://Charts.example/x/", "https://charts.example:443/x", " https://charts.example/x/index.yaml "] {
        assert_eq!(parse(same).as_deref(), Ok("https://charts.example/x"), "{same}");
    }
    for (bad, reason) in [
        ("http://charts.example", "http_refused"),
        ("oci://user:secret@charts.example/x", "oci_not_supported"),
        ("https://user:secret@charts.example/x", "url_invalid"),
        ("https://user:sec/ret@charts.example/x", "url_invalid"),
        ("https://charts.example/x?token=secret", "url_invalid"),
        ("https://charts.example/x#secret", "url_invalid"),
        ("ftp://charts.example", "url_invalid"),
        ("charts.example", "url_invalid"),
        ("", "url_invalid"),
    ] {
        let error = RepositoryUrl::parse(bad, false).unwrap_err();
        assert_eq!(error.reason(), reason, "{bad}");
        let message = error.to_string();
        assert!(!message.contains("secret") || message.contains("secretRef"), "{message}");
        assert!(!message.contains("sec/ret") && !message.contains(":secret"), "{message}");
    }
    assert!(RepositoryUrl::parse("http://charts.example", true).is_ok());
}
