//! Arrows between the rooms of `src/` only point downwards.

use std::collections::BTreeSet;
use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};

use super::files::{self, Source, is_for_tests};

/// What each room may use of the others, from the bottom up.
const TABLE: [(&str, &[&str]); 12] = [
    ("api", &[]),
    ("types", &[]),
    ("release", &["api", "types"]),
    ("plan", &["api", "types", "release"]),
    ("status", &["api", "types", "release", "plan"]),
    ("metrics", &["types"]),
    ("helm", &["types", "release", "metrics"]),
    ("sources", &["types", "release", "metrics"]),
    ("health", &["types", "release", "metrics"]),
    ("cluster", &["api", "types", "release", "status", "health", "metrics"]),
    ("controller", &["api", "types", "release", "plan", "status", "metrics", "helm", "sources", "health", "cluster"]),
    (
        "cli",
        &["api", "types", "release", "plan", "status", "metrics", "helm", "sources", "health", "cluster", "controller"],
    ),
];

/// The room that a file of `src/` belongs to; none for the crate's own roots.
pub(crate) fn room_of(path: &Path) -> Option<String> {
    let mut parts = path.strip_prefix("src").ok()?.iter().filter_map(|part| part.to_str());
    let first = parts.next()?.trim_end_matches(".rs").to_owned();
    (!matches!(&*first, "lib" | "main")).then_some(first)
}

/// The rooms that a file uses, with the path by which it does.
fn uses(source: &Source) -> BTreeSet<(String, String)> {
    let module = source.path.with_extension("");
    let below_src = module.strip_prefix("src").unwrap_or(&module).iter().filter(|part| *part != "mod").count();
    let mut finder = Finder { depth: below_src, found: BTreeSet::new() };
    finder.visit_file(&source.syntax);
    finder.found
}

struct Finder {
    /// How many `super` lead from here to the crate.
    depth: usize,
    found: BTreeSet<(String, String)>,
}

impl Finder {
    /// Notes the room of a path that starts at the crate, by name or by enough `super`.
    fn note(&mut self, path: &[String]) {
        let supers = path.iter().take_while(|part| *part == "super").count();
        let rest = match path.first().map(String::as_str) {
            Some("crate" | "helm_release_operator") => &path[1..],
            Some("super") if supers == self.depth => &path[supers..],
            _ => return,
        };
        if let Some(room) = rest.first().filter(|room| TABLE.iter().any(|(name, _)| name == room)) {
            self.found.insert((room.clone(), path.join("::")));
        }
    }

    fn note_tree(&mut self, tree: &syn::UseTree, path: &mut Vec<String>) {
        match tree {
            syn::UseTree::Path(one) => {
                path.push(one.ident.to_string());
                self.note_tree(&one.tree, path);
                path.pop();
            }
            syn::UseTree::Group(group) => group.items.iter().for_each(|tree| self.note_tree(tree, path)),
            syn::UseTree::Name(syn::UseName { ident }) | syn::UseTree::Rename(syn::UseRename { ident, .. }) => {
                path.push(ident.to_string());
                self.note(path);
                path.pop();
            }
            syn::UseTree::Glob(_) => self.note(path),
        }
    }

    /// Paths inside of macros, which are tokens to the parser.
    fn note_tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        for token in tokens {
            match token {
                TokenTree::Ident(name) => path.push(name.to_string()),
                TokenTree::Punct(sign) if sign.as_char() == ':' => {}
                TokenTree::Group(group) => {
                    self.note(&std::mem::take(&mut path));
                    self.note_tokens(group.stream());
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => self.note(&std::mem::take(&mut path)),
            }
        }
        self.note(&path);
    }
}

impl<'ast> Visit<'ast> for Finder {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if !is_for_tests(&item.attrs) {
            self.note_tree(&item.tree, &mut Vec::new());
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.note(&path.segments.iter().map(|segment| segment.ident.to_string()).collect::<Vec<_>>());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        self.note_tokens(item.tokens.clone());
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if is_for_tests(&item.attrs) {
            return;
        }
        self.depth += 1;
        visit::visit_item_mod(self, item);
        self.depth -= 1;
    }
}

#[test]
fn rooms_use_only_rooms_below_them() {
    let mut upward = Vec::new();
    for source in files::below(&["src"]).iter().filter(|source| !source.is_tests()) {
        let Some(room) = room_of(&source.path) else { continue };
        let (_, allowed) = TABLE
            .iter()
            .find(|(name, _)| *name == room)
            .unwrap_or_else(|| panic!("{} is in no room of the table", source.path.display()));
        for (used, path) in uses(source) {
            if used != room && !allowed.contains(&&*used) {
                upward.push(format!("{}: {path} ({room} may use {allowed:?})", source.path.display()));
            }
        }
    }
    assert!(upward.is_empty(), "{upward:#?}");
}

#[test]
fn paths_are_found_however_they_are_written() {
    let text = "use crate::{plan::Plan, types::{self, Version}};\nuse super::super::cluster::Lease;\n\
                fn f() { crate::status::render(); tracing::info!(x = crate::health::judge(), \"\"); }\n\
                #[cfg(test)] mod tests { use crate::cli::Args; }\n";
    let source = Source { path: "src/helm/run.rs".into(), text: String::new(), syntax: syn::parse_file(text).unwrap() };
    let rooms: Vec<_> = uses(&source).into_iter().map(|(room, _)| room).collect();
    assert_eq!(rooms, ["cluster", "health", "plan", "status", "types", "types"]);
}
