//! The direction of imports, as ARCHITECTURE.md draws it.

use std::path::{Path, PathBuf};

use super::process::project;

/// Module of the server, and what its files must never name. What crates may use of each other, their manifests say.
const FORBIDDEN: &[(&str, &[&str])] = &[
    (
        "store",
        &[
            "tonic",
            "prost",
            "syncline_protocol",
            "crate::engine",
            "crate::grpc",
            "crate::config",
            "crate::telemetry",
        ],
    ),
    (
        "engine",
        &["tonic", "prost", "sqlx", "syncline_protocol", "crate::grpc", "crate::config", "crate::server"],
    ),
    ("grpc", &["sqlx", "crate::store", "crate::config", "crate::server"]),
    ("web", &["tokio", "sqlx", "crate", "syncline_core", "syncline_protocol"]),
    (
        "config",
        &["tokio", "tonic", "sqlx", "syncline_protocol", "crate::engine", "crate::store", "crate::grpc"],
    ),
];

#[test]
fn modules_import_only_what_the_architecture_allows() {
    let mut wrong = Vec::new();
    for (module, forbidden) in FORBIDDEN {
        let mut files = files_of(&project().join("src").join(module));
        files.push(project().join("src").join(format!("{module}.rs")));
        for file in files.iter().filter(|f| f.exists()) {
            let text = std::fs::read_to_string(file).expect("a text file");
            for (number, line) in code_of(&text) {
                for word in *forbidden {
                    if names(line, word) {
                        wrong.push(format!("{}:{number}: {module} must not name {word}", file.display()));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Lines of code with their numbers: no comments, and nothing of the items that only tests have.
fn code_of(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut skipping: Option<TestItem> = None;
    text.lines().enumerate().filter_map(move |(index, line)| {
        if let Some(item) = &mut skipping {
            if item.ends_with(line) {
                skipping = None;
            }
            return None;
        }
        if line.trim() == "#[cfg(test)]" {
            let indent = line.len() - line.trim_start().len();
            skipping = Some(TestItem { indent });
            return None;
        }
        let line = line.trim();
        (!line.starts_with("//")).then_some((index + 1, line))
    })
}

/// An item after `#[cfg(test)]`, as rustfmt lays it out: it ends with the first line at its own indentation that closes
/// a block or a statement.
struct TestItem {
    indent: usize,
}

impl TestItem {
    fn ends_with(&self, line: &str) -> bool {
        let trimmed = line.trim_start();
        let own = line.len() - trimmed.len() == self.indent;
        own && !trimmed.starts_with("#[") && trimmed.ends_with([';', '}', ','])
    }
}

#[test]
fn only_the_items_of_tests_are_not_read() {
    let text = "use a::b;\n\
                #[cfg(test)]\n\
                mod tests;\n\
                use c::d;\n\
                #[cfg(test)]\n\
                #[allow(dead_code)]\n\
                fn helper() {\n    \
                    use e::f;\n\
                }\n\
                // use g::h;\n\
                mod last {\n    \
                    #[cfg(test)]\n    \
                    use i::j;\n    \
                    use k::l;\n\
                }";
    let read: Vec<_> = code_of(text).map(|(_, line)| line).filter(|line| line.starts_with("use")).collect();
    assert_eq!(read, ["use a::b;", "use c::d;", "use k::l;"]);
}

/// Whether a line uses a path that begins with the word.
fn names(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = &line[at + word.len()..];
        let starts = before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':' && c != '.');
        starts && (after.starts_with("::") || after.starts_with(';'))
    })
}

fn files_of(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            let is_test = path.file_name().is_some_and(|n| n == "tests" || n == "proof");
            if !is_test {
                files.extend(files_of(&path));
            }
        } else if path.extension().is_some_and(|e| e == "rs")
            && path.file_name().is_some_and(|n| n != "tests.rs")
        {
            files.push(path);
        }
    }
    files
}
