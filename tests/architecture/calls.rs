//! Rooms that decide and speak are pure: they know no clock, no file, no network and no task.

use syn::visit::{self, Visit};

use super::files::{self, is_for_tests};
use super::rooms::room_of;

/// The rooms whose functions depend on nothing but their arguments.
const PURE: [&str; 5] = ["api", "types", "release", "plan", "status"];

/// What they must not name: the first parts of a path, and why.
const FORBIDDEN: [(&[&str], &str); 12] = [
    (&["tokio"], "tasks belong to controller and cluster"),
    (&["reqwest"], "requests belong to sources"),
    (&["kube", "Client"], "the client belongs to cluster"),
    (&["kube", "Api"], "the client belongs to cluster"),
    (&["tracing"], "what happened is data; the controller logs it"),
    (&["std", "fs"], "files belong to helm and sources"),
    (&["std", "process"], "processes belong to helm"),
    (&["std", "net"], "connections belong to sources and cluster"),
    (&["std", "env"], "the environment is read in cli"),
    (&["std", "thread"], "time and threads belong to the controller"),
    (&["std", "time", "Instant"], "time is a value of the snapshot"),
    (&["std", "time", "SystemTime"], "time is a value of the snapshot"),
];

/// Paths of a file, those of `use` included.
#[derive(Default)]
struct Paths(Vec<Vec<String>>);

impl Paths {
    fn tree(&mut self, tree: &syn::UseTree, before: &[String]) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        match tree {
            syn::UseTree::Path(one) => self.tree(&one.tree, &with(&one.ident)),
            syn::UseTree::Group(group) => group.items.iter().for_each(|tree| self.tree(tree, before)),
            syn::UseTree::Name(one) => self.0.push(with(&one.ident)),
            syn::UseTree::Rename(one) => self.0.push(with(&one.ident)),
            syn::UseTree::Glob(_) => self.0.push(before.to_vec()),
        }
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.tree(&item.tree, &[]);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.0.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_for_tests(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }
}

#[test]
fn pure_rooms_know_no_clock_no_file_and_no_network() {
    let mut found = Vec::new();
    for source in files::below(&["src"]).iter().filter(|source| !source.is_tests()) {
        if !room_of(&source.path).is_some_and(|room| PURE.contains(&&*room)) {
            continue;
        }
        let mut paths = Paths::default();
        paths.visit_file(&source.syntax);
        for path in paths.0 {
            if let Some((_, why)) =
                FORBIDDEN.iter().find(|(parts, _)| path.len() >= parts.len() && parts.iter().eq(&path[..parts.len()]))
            {
                found.push(format!("{}: {}: {why}", source.path.display(), path.join("::")));
            }
            if path.ends_with(&["Timestamp".to_owned(), "now".to_owned()]) {
                found.push(format!("{}: Timestamp::now: time is a value of the snapshot", source.path.display()));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}
