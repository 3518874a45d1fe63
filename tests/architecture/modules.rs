//! Every file is compiled: it is a target or reached from one through `mod`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::files;

/// The roots of all targets of the workspace, as Cargo sees them.
fn targets() -> Vec<PathBuf> {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(files::root())
        .output()
        .expect("cargo runs");
    assert!(metadata.status.success(), "{}", String::from_utf8_lossy(&metadata.stderr));
    let metadata: Value = serde_json::from_slice(&metadata.stdout).expect("metadata is JSON");
    let packages = metadata["packages"].as_array().expect("packages").iter();
    let targets = packages.flat_map(|package| package["targets"].as_array().into_iter().flatten());
    targets.filter_map(|target| target["src_path"].as_str().map(PathBuf::from)).collect()
}

/// Follows `mod name;` from a file into those that it names.
fn follow(path: &Path, is_root: bool, reached: &mut BTreeSet<PathBuf>) {
    let path = path.canonicalize().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    if !reached.insert(path.clone()) {
        return;
    }
    let folder = path.parent().expect("a file has a folder");
    let is_folder_root = is_root || path.ends_with("mod.rs");
    let inside = if is_folder_root { folder.to_owned() } else { path.with_extension("") };
    descend(&files::read(&path).syntax.items, folder, &inside, reached);
}

/// `folder` is where `#[path]` starts from, `inside` where modules lie by default.
fn descend(items: &[syn::Item], folder: &Path, inside: &Path, reached: &mut BTreeSet<PathBuf>) {
    for item in items {
        let syn::Item::Mod(module) = item else { continue };
        let name = module.ident.to_string();
        match (&module.content, path_of(module)) {
            (Some((_, items)), _) => descend(items, &inside.join(&name), &inside.join(&name), reached),
            (None, Some(path)) => follow(&folder.join(path), true, reached),
            (None, None) => {
                let beside = inside.join(format!("{name}.rs"));
                let file = if beside.exists() { beside } else { inside.join(name).join("mod.rs") };
                follow(&file, false, reached);
            }
        }
    }
}

/// The text of `#[path = "…"]`.
fn path_of(module: &syn::ItemMod) -> Option<String> {
    let attribute = module.attrs.iter().find(|attribute| attribute.path().is_ident("path"))?;
    let syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) =
        &attribute.meta.require_name_value().ok()?.value
    else {
        return None;
    };
    Some(text.value())
}

#[test]
fn every_file_is_compiled() {
    let mut reached = BTreeSet::new();
    for target in targets() {
        follow(&target, true, &mut reached);
    }
    let forgotten: Vec<_> = files::below(&["src", "tests", "benches"])
        .into_iter()
        .filter(|source| !reached.contains(&files::root().join(&source.path).canonicalize().unwrap()))
        .map(|source| source.path)
        .collect();
    assert!(forgotten.is_empty(), "no target and no `mod` reaches these: {forgotten:#?}");
}
