//! The direction of imports, as ARCHITECTURE.md draws it.

use std::path::{Path, PathBuf};

use super::process::project;

/// Module, and what its files must never name.
const FORBIDDEN: &[(&str, &[&str])] = &[
    (
        "domain",
        &[
            "tokio",
            "tonic",
            "prost",
            "sqlx",
            "tracing",
            "metrics",
            "crate::engine",
            "crate::store",
            "crate::grpc",
            "crate::config",
            "crate::telemetry",
            "std::time",
            "rand",
        ],
    ),
    (
        "history",
        &[
            "tokio",
            "tonic",
            "prost",
            "sqlx",
            "tracing",
            "metrics",
            "crate::engine",
            "crate::store",
            "crate::grpc",
            "crate::config",
            "crate::telemetry",
            "std::time",
            "rand",
        ],
    ),
    ("store", &["tonic", "prost", "crate::engine", "crate::grpc", "crate::config", "crate::telemetry"]),
    ("engine", &["tonic", "prost", "sqlx", "crate::grpc", "crate::config", "crate::server"]),
    ("grpc", &["sqlx", "crate::store", "crate::config", "crate::server"]),
    ("web", &["tokio", "sqlx", "crate"]),
    ("config", &["tokio", "tonic", "sqlx", "crate::engine", "crate::store", "crate::grpc"]),
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

/// Lines of code with their numbers: no comments, and nothing after the file's tests begin.
fn code_of(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.trim()))
        .take_while(|(_, line)| *line != "#[cfg(test)]" || text.lines().count() == 0)
        .filter(|(_, line)| !line.starts_with("//"))
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
