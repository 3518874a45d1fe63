//! Gzipped tar archives with nothing in them that changes from run to run.

use std::io::Write;

use flate2::{Compression, GzBuilder};
use tar::{EntryType, Header};

/// One entry of an archive.
#[derive(Debug, Clone)]
pub(super) enum Entry {
    File { path: String, content: Vec<u8> },
    Link { path: String, target: String },
}

/// Packs the entries in their order. Paths are written as they are given, without a check: some tests need bad ones.
pub(super) fn pack(entries: impl Iterator<Item = Entry>) -> Vec<u8> {
    let mut archive = tar::Builder::new(GzBuilder::new().mtime(0).write(Vec::new(), Compression::default()));
    for entry in entries {
        let (path, kind, target, content) = match &entry {
            Entry::File { path, content } => (path, EntryType::Regular, "", content.as_slice()),
            Entry::Link { path, target } => (path, EntryType::Symlink, target.as_str(), &[][..]),
        };
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        let old = header.as_old_mut();
        put(&mut old.name, path);
        put(&mut old.linkname, target);
        header.set_cksum();
        archive.append(&header, content).expect("memory takes every write");
    }
    let mut packed = archive.into_inner().expect("memory takes every write");
    packed.flush().expect("memory takes every write");
    packed.finish().expect("memory takes every write")
}

/// Fills a field of a header; the charts of tests have short paths.
fn put(field: &mut [u8; 100], text: &str) {
    assert!(text.len() <= field.len(), "a path of the chart is too long for its archive: {text}");
    field[..text.len()].copy_from_slice(text.as_bytes());
}
