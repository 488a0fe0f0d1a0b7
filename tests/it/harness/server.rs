//! A server in this process, on a port of its own.

use std::net::SocketAddr;

use sqlx::{Connection as _, Executor as _};
use syncline::config::{Config, Flags, Preset};
use syncline::engine::Engine;
use syncline::server::{Server, ServerError};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

use super::postgres::Database;
use super::workspace::{Clients, Workspace};
use super::{pb, within};

/// The variable that lets every server of the tests without a database of its own choice run on Postgres.
const DATABASE: &str = "SYNCLINE_TEST_DATABASE";

/// A server over a database of its own; both go with it.
pub struct TestServer {
    /// Where the tests run on Postgres.
    database: Option<Database>,
    directory: TempDir,
    settings: Vec<(&'static str, String)>,
    running: Option<Running>,
}

struct Running {
    address: SocketAddr,
    engine: Engine,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), ServerError>>,
}

/// Holds the lock that every write needs.
pub enum SomebodyElse {
    OnSqlite(sqlx::SqliteConnection),
    OnPostgres(sqlx::PgConnection),
}

impl SomebodyElse {
    /// The lock is free again.
    pub async fn lets_go(self) {
        match self {
            SomebodyElse::OnSqlite(conn) => conn.close().await.expect("closed"),
            SomebodyElse::OnPostgres(conn) => conn.close().await.expect("closed"),
        }
    }
}

/// Whether the tests run on Postgres: `SYNCLINE_TEST_DATABASE=postgres`.
pub fn on_postgres() -> bool {
    match std::env::var(DATABASE).as_deref() {
        Ok("postgres") => true,
        Ok("sqlite") | Err(_) => false,
        Ok(other) => panic!("{DATABASE}={other}: expected sqlite or postgres"),
    }
}

impl TestServer {
    /// A server over a SQLite file.
    pub async fn start() -> TestServer {
        TestServer::with(&[]).await
    }

    /// A server over the in-memory store, for what does not depend on the store.
    pub async fn in_memory() -> TestServer {
        TestServer::with(&[("database.url", "memory:")]).await
    }

    /// A server with settings of its own. Where the tests run on Postgres, it gets a database there, unless it shares
    /// one with another server already.
    pub async fn with(settings: &[(&'static str, &str)]) -> TestServer {
        let directory = TempDir::new().expect("a directory");
        let mut all = vec![
            ("server.listen", "127.0.0.1:0".to_owned()),
            ("server.reflection", "true".to_owned()),
            ("server.drain_seconds", "5".to_owned()),
            ("server.cors_origins", "http://localhost:*".to_owned()),
            ("metrics.listen", String::new()),
            ("database.url", format!("sqlite:{}", directory.path().join("syncline.db").display())),
        ];
        all.extend(settings.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let shares = settings.iter().any(|(_, value)| value.starts_with("postgres"));
        let mut database = None;
        if on_postgres() && !shares {
            let created = Database::create().await;
            all.push(("database.url", created.url()));
            database = Some(created);
        }
        let mut server = TestServer { database, directory, settings: all, running: None };
        server.run().await;
        server
    }

    async fn run(&mut self) {
        let flags =
            self.settings.iter().fold(Flags::new(Preset::SERVE), |f, (name, value)| f.with(name, value));
        let config = Config::load(&flags, std::iter::empty(), None).unwrap_or_else(|e| panic!("{e}"));
        let server = Server::build(config).await.unwrap_or_else(|e| panic!("{e}"));
        let shutdown = CancellationToken::new();
        let (address, engine) = (server.address(), server.engine().clone());
        let task = tokio::spawn(server.run(shutdown.clone()));
        self.running = Some(Running { address, engine, shutdown, task });
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("a running server")
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.running().address
    }

    /// Lets somebody else write to the database and not finish.
    pub async fn lock_database(&self) -> SomebodyElse {
        match &self.database {
            Some(database) => {
                let mut conn = database.superuser().await;
                let lock = "BEGIN; LOCK TABLE workspace_head IN EXCLUSIVE MODE";
                conn.execute(lock).await.expect("the lock");
                SomebodyElse::OnPostgres(conn)
            }
            None => {
                let file = self.directory.path().join("syncline.db");
                let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
                let mut conn = sqlx::SqliteConnection::connect_with(&options).await.expect("the database");
                conn.execute("BEGIN IMMEDIATE").await.expect("the lock");
                SomebodyElse::OnSqlite(conn)
            }
        }
    }

    /// Damages the rows of a workspace whose keys begin like this, behind the server's back; how many there were.
    pub async fn overwrite_rows(&self, workspace_id: &str, key_start: &[u8], value: &[u8]) -> u64 {
        let statement = "UPDATE state SET value = $1 WHERE substr(key, 1, $2) = $3 AND workspace_no = \
                         (SELECT workspace_no FROM workspace WHERE workspace_id = $4)";
        let length = i32::try_from(key_start.len()).expect("a short key");
        macro_rules! run {
            ($conn:expr) => {{
                let query =
                    sqlx::query(statement).bind(value).bind(length).bind(key_start).bind(workspace_id);
                query.execute($conn).await.expect("rows of the state").rows_affected()
            }};
        }
        match &self.database {
            Some(database) => run!(&mut database.superuser().await),
            None => {
                let file = self.directory.path().join("syncline.db");
                let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
                let mut conn = sqlx::SqliteConnection::connect_with(&options).await.expect("the database");
                let changed = run!(&mut conn);
                conn.close().await.expect("closed");
                changed
            }
        }
    }

    /// The server's clock.
    pub fn now_ms(&self) -> i64 {
        self.running().engine.now_ms()
    }

    /// A time so many milliseconds from now.
    pub fn in_ms(&self, ms: i64) -> prost_types::Timestamp {
        let at = self.now_ms() + ms;
        let nanos = i32::try_from(at.rem_euclid(1_000)).expect("below 1,000") * 1_000_000;
        prost_types::Timestamp { seconds: at.div_euclid(1_000), nanos }
    }

    /// A connection of its own. It is made here: there is nothing to wait for later.
    pub async fn channel(&self) -> Channel {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address())).expect("an address");
        within("connecting", endpoint.connect()).await.expect("a connection")
    }

    /// Clients over a connection of their own.
    pub async fn clients(&self) -> Clients {
        Clients::over(self.channel().await)
    }

    /// A new workspace with the schema of [`super::workspace::schema`].
    pub async fn workspace(&self, id: &str) -> Workspace {
        self.workspace_of(id, Some(super::workspace::schema())).await
    }

    /// A new workspace with this schema.
    pub async fn workspace_of(&self, id: &str, schema: Option<pb::Schema>) -> Workspace {
        let clients = self.clients().await;
        let request =
            pb::CreateWorkspaceRequest { workspace_id: id.to_owned(), display_name: String::new(), schema };
        let created = within("creating", clients.workspaces().create_workspace(request)).await;
        let created = created.expect("a workspace").into_inner().workspace.expect("a workspace");
        Workspace { id: id.to_owned(), epoch: created.epoch, clients }
    }

    /// A workspace that exists, over a connection of its own.
    pub async fn existing(&self, id: &str) -> Workspace {
        let clients = self.clients().await;
        let request = pb::GetWorkspaceRequest { workspace_id: id.to_owned() };
        let found = within("reading", clients.workspaces().get_workspace(request)).await;
        let found = found.expect("a workspace").into_inner().workspace.expect("a workspace");
        Workspace { id: id.to_owned(), epoch: found.epoch, clients }
    }

    /// Tells the server to stop and does not wait for it.
    pub fn begin_stop(&self) {
        self.running().shutdown.cancel();
    }

    /// Stops the server; its database stays.
    pub async fn stop(&mut self) {
        let running = self.running.take().expect("a running server");
        running.shutdown.cancel();
        let ended = within("stopping", running.task).await;
        ended.expect("no panic").expect("an orderly end");
    }

    /// Stops the server if it runs, and starts it again over the same database, on another port.
    pub async fn restart(&mut self) {
        if self.running.is_some() {
            self.stop().await;
        }
        self.run().await;
    }
}
