//! A bare HTTP client: tests of a proxy see what is on the wire, not what a library makes of it.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// An answer; the body is as it came, with the marks of its chunks where it has them.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// Sends one request on a connection of its own and reads until the server closes it.
pub(crate) fn ask(method: &str, url: &str, path: &str, headers: &[(&str, &str)], body: &str) -> io::Result<Answer> {
    let mut stream = open(method, url, path, headers, body)?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
    Ok(Answer { status, head: head.to_lowercase(), body: body.to_owned() })
}

/// Reads a path.
pub(crate) fn get(url: &str, path: &str) -> io::Result<Answer> {
    ask("GET", url, path, &[], "")
}

/// Creates an object.
pub(crate) fn post(url: &str, path: &str, body: &str) -> io::Result<Answer> {
    ask("POST", url, path, &[("content-type", "application/json")], body)
}

/// Sends one request and leaves the answer in the stream.
pub(crate) fn open(method: &str, url: &str, path: &str, headers: &[(&str, &str)], body: &str) -> io::Result<TcpStream> {
    let host = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let headers: String = headers.iter().flat_map(|(name, value)| [name, ": ", value, "\r\n"]).collect();
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\nuser-agent: wire\r\nconnection: close\r\n\
         content-length: {length}\r\n{headers}\r\n{body}"
    )?;
    Ok(stream)
}
