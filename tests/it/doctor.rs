//! `syncline doctor`, as an operator sees it.

use std::process::{Command, Output};

use sqlx::{AssertSqlSafe, Executor as _};

use super::harness::postgres::Database;
use super::process::{free_port, program};

fn doctor(url: &str) -> (Output, String) {
    let listen = format!("127.0.0.1:{}", free_port());
    let output = Command::new(program())
        .args(["doctor", "--listen", &listen, "--metrics-listen", "", "--database-url", url])
        .env("PGPASSWORD", "hunter2")
        .output()
        .expect("doctor runs");
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!said.contains("hunter2"), "{said}");
    (output, said)
}

#[tokio::test]
async fn a_good_postgres_is_found_good_before_and_after_it_is_migrated() {
    let database = Database::empty().await;
    let (output, said) = doctor(&database.url());
    assert!(output.status.success(), "{said}");
    assert!(said.contains("note  database, migrations: 3 are missing"), "{said}");
    let migrated = Command::new(program())
        .args(["migrate", "--database-url", &format!("{}&password=hunter2", database.url())])
        .output()
        .expect("migrate runs");
    let answer = String::from_utf8_lossy(&migrated.stdout);
    assert!(migrated.status.success() && answer.contains("password=***"), "{answer}");
    let (output, said) = doctor(&database.url());
    assert!(output.status.success(), "{said}");
    assert!(said.contains("ok    content: 0 workspaces") && !said.contains("migrations"), "{said}");
}

#[tokio::test]
async fn everything_wrong_with_a_postgres_is_said_at_once() {
    let database = Database::create().await;
    let settings = format!(
        "ALTER DATABASE {0} SET synchronous_commit = off; \
         ALTER DATABASE {0} SET default_transaction_read_only = on; ALTER DATABASE {0} CONNECTION LIMIT 5",
        database.name()
    );
    database.superuser().await.execute(AssertSqlSafe(settings)).await.expect("settings");
    let (output, said) = doctor(&database.url());
    assert!(!output.status.success(), "{said}");
    for wrong in ["synchronous_commit", "default_transaction_read_only", "connections of the database"] {
        assert!(said.contains(&format!("BAD   database, {wrong}: ")), "{wrong}: {said}");
    }
    assert!(said.contains("3 to fix"), "{said}");
}
