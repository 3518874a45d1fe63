//! Reading a chart's folder as helm packages it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

/// Reads the files below the folder, by their paths in it, without those that its `.helmignore` names.
pub(super) fn read(folder: &Path) -> io::Result<BTreeMap<String, Vec<u8>>> {
    let ignored = fs::read_to_string(folder.join(".helmignore")).unwrap_or_default();
    let ignored: Vec<&str> =
        ignored.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let mut files = BTreeMap::new();
    collect(folder, "", &ignored, &mut files)?;
    Ok(files)
}

fn collect(folder: &Path, prefix: &str, ignored: &[&str], files: &mut BTreeMap<String, Vec<u8>>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if ignored.iter().any(|pattern| matches(pattern, &path)) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &format!("{path}/"), ignored, files)?;
        } else {
            files.insert(path, fs::read(entry.path())?);
        }
    }
    Ok(())
}

/// The part of the ignore language that charts here use: a path from the root, a name anywhere, `*` with an ending.
fn matches(pattern: &str, path: &str) -> bool {
    let pattern = pattern.trim_end_matches('/');
    let name = path.rsplit('/').next().unwrap_or(path);
    match (pattern.strip_prefix('*'), pattern.trim_start_matches('/')) {
        (Some(ending), _) => name.ends_with(ending),
        (None, rooted) if rooted.contains('/') || pattern.starts_with('/') => path == rooted,
        (None, plain) => name == plain,
    }
}

/// The description of the chart with other versions; the rest of it stays as it is.
pub(super) fn with_versions(about: &str, version: &str, app_version: &str) -> String {
    let line = |line: &str| match line.split_once(':') {
        Some(("version", _)) => format!("version: \"{version}\"\n"),
        Some(("appVersion", _)) => format!("appVersion: \"{app_version}\"\n"),
        _ => format!("{line}\n"),
    };
    about.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_patterns_match_names_endings_and_rooted_paths() {
        assert!(matches("versions.yaml", "versions.yaml"));
        assert!(matches("versions.yaml", "deeper/versions.yaml"));
        assert!(matches("*.bak", "templates/a.bak"));
        assert!(matches("/ci/", "ci"));
        assert!(!matches("/versions.yaml", "deeper/versions.yaml"));
    }
}
