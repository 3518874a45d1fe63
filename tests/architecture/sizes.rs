//! Files and functions that fit into a head.

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use super::files::{self, Source, is_for_tests};

/// Lines of a file without its unit tests, and of a function.
const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;

/// All files but the unit tests of the rooms, whose tables of cases may be long.
fn code() -> Vec<Source> {
    let mut sources = files::below(&["src", "tests", "benches"]);
    sources.retain(|source| !(source.path.starts_with("src") && source.is_tests()));
    sources
}

/// The lines of the file that are not inside a module of unit tests.
fn lines(source: &Source) -> usize {
    let of_tests = source.syntax.items.iter().filter_map(|item| match item {
        syn::Item::Mod(module) if is_for_tests(&module.attrs) => Some(height(module)),
        _ => None,
    });
    source.text.lines().count() - of_tests.sum::<usize>()
}

fn height(node: &impl Spanned) -> usize {
    node.span().end().line - node.span().start().line + 1
}

#[test]
fn files_are_short() {
    let long: Vec<_> = code()
        .iter()
        .filter(|source| lines(source) >= FILE_LINES_MAX)
        .map(|source| format!("{}: {} lines", source.path.display(), lines(source)))
        .collect();
    assert!(long.is_empty(), "{FILE_LINES_MAX} lines or more; what is the second noun in each? {long:#?}");
}

struct Functions<'a> {
    source: &'a Source,
    long: Vec<String>,
}

impl Functions<'_> {
    fn note(&mut self, signature: &syn::Signature, lines: usize) {
        if lines >= FUNCTION_LINES_MAX {
            self.long.push(format!("{}: {}: {lines} lines", self.source.path.display(), signature.ident));
        }
    }
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_for_tests(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.note(&item.sig, height(item));
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.note(&item.sig, height(item));
        visit::visit_impl_item_fn(self, item);
    }
}

#[test]
fn functions_are_short() {
    let mut long = Vec::new();
    for source in &code() {
        let mut functions = Functions { source, long: Vec::new() };
        functions.visit_file(&source.syntax);
        long.append(&mut functions.long);
    }
    assert!(long.is_empty(), "{FUNCTION_LINES_MAX} lines or more: {long:#?}");
}
