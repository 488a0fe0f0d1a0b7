//! A PostgreSQL of the tests' own: private clusters on a unix socket in a temporary directory, and one database per
//! test. Nothing of it outlives this process, however it ends.

use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection};
use syncline::store::postgres::{PostgresOptions, PostgresStore};
use tokio::sync::oneshot;

/// The oldest release that Syncline works with.
const MAJOR_VERSION_MIN: u32 = 15;
/// How long a start or a stop may take on a busy machine.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a session may go on with what its caller gave up.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);
/// The role that runs the cluster; tests use it only to do what a server must not.
const SUPERUSER: &str = "tests";
/// The role of the servers under test.
const ROLE: &str = "syncline";
/// The database that every other one is a copy of: it has the schema already.
const TEMPLATE: &str = "template_syncline";

/// Settings beside the defaults: small, and as durable as in production.
const SETTINGS: &str = "listen_addresses = ''
max_connections = 250
shared_buffers = 32MB
# A checkpoint syncs all files of all databases at once: none while tests run, if it can be.
max_wal_size = 2GB
checkpoint_timeout = 30min
autovacuum_naptime = 10s
log_min_messages = warning
log_line_prefix = '%m [%p] '
";

/// Ends the cluster and removes its directory once this process is gone: that closes the pipe which it reads. It runs
/// in a process group of its own, so that Ctrl-C does not end it first.
const WATCHDOG: &str = r#"
cat >/dev/null
pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
if [ -n "$pid" ]; then
    kill -CONT $pid $(cat /proc/$pid/task/*/children 2>/dev/null) 2>/dev/null
    kill -QUIT $pid 2>/dev/null
    n=0
    while kill -0 $pid 2>/dev/null && [ $n -lt 100 ]; do sleep 0.1; n=$((n + 1)); done
    kill -KILL $pid 2>/dev/null
fi
rm -rf "$1"
"#;

/// A running PostgreSQL. Dropping it stops it.
pub struct Cluster {
    programs: PathBuf,
    directory: PathBuf,
    /// Whom it runs as, where that is not who runs the tests.
    user: Option<(u32, u32)>,
    server: Mutex<Option<Child>>,
    /// As long as its input is open, it sleeps.
    watchdog: Child,
}

impl Cluster {
    /// A new cluster, for tests that stop or kill it; the others share one.
    pub fn start() -> Cluster {
        let programs = PROGRAMS.clone().unwrap_or_else(|missing| panic!("{missing}"));
        let user = unprivileged();
        let directory = directory(user);
        let watchdog = as_user(Command::new("sh"), user)
            .args(["-c", WATCHDOG, "watchdog"])
            .arg(&directory)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        let cluster = Cluster { programs, directory, user, server: Mutex::default(), watchdog };
        cluster.init();
        cluster.restart();
        cluster
    }

    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    fn init(&self) {
        let output = as_user(Command::new(self.programs.join("initdb")), self.user)
            .arg("--pgdata")
            .arg(self.data())
            .args(["--username", SUPERUSER, "--auth", "trust", "--encoding", "UTF8", "--locale", "C"])
            .args(["--no-sync", "--no-instructions"])
            .current_dir(&self.directory)
            .output()
            .expect("initdb runs");
        assert!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
        let path = self.data().join("postgresql.conf");
        let mut settings = std::fs::OpenOptions::new().append(true).open(path).expect("its settings");
        writeln!(settings, "{SETTINGS}unix_socket_directories = '{}'", self.directory.display())
            .expect("written");
    }

    /// Starts the server again after it was stopped or killed, and waits until it accepts connections.
    pub fn restart(&self) {
        let mut server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.directory.join("log"))
            .expect("a log file");
        let child = as_user(Command::new(self.programs.join("postgres")), self.user)
            .arg("-D")
            .arg(self.data())
            .current_dir(&self.directory)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("postgres runs");
        *server = Some(child);
        let started = Instant::now();
        while !self.is_ready() {
            let child = server.as_mut().expect("it was just started");
            let ended = child.try_wait().expect("it can be asked");
            assert!(ended.is_none() && started.elapsed() < START_TIMEOUT, "postgres: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Whether the server says that it accepts connections.
    fn is_ready(&self) -> bool {
        std::fs::read_to_string(self.data().join("postmaster.pid"))
            .is_ok_and(|text| text.lines().nth(7).is_some_and(|line| line.trim() == "ready"))
    }

    /// What the server has said so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }

    /// SIGKILL to the server and all its processes, as when the machine goes.
    pub fn kill(&self) {
        // Their parent stands still while they are counted, so that it starts no new one that would live on.
        signal("STOP", &self.processes()[..1]);
        let all = self.processes();
        signal("KILL", &all);
        self.wait();
        // One that is still on its way out holds memory that a new server takes for another one's.
        let deadline = Instant::now() + START_TIMEOUT;
        while all.iter().any(|pid| is_alive(*pid)) {
            assert!(Instant::now() < deadline, "processes of a killed server do not end");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// An orderly stop that does not wait for clients.
    pub fn stop(&self) {
        signal("INT", &self.processes()[..1]);
        self.wait();
    }

    /// Lets all its processes stand still, as a machine that hangs.
    pub fn pause(&self) {
        signal("STOP", &self.processes());
    }

    /// Lets them go on.
    pub fn resume(&self) {
        signal("CONT", &self.processes());
    }

    fn wait(&self) {
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner).take();
        server.expect("a running server").wait().expect("it ends");
        // What a killed server leaves behind would look like a running one.
        let _ = std::fs::remove_file(self.data().join("postmaster.pid"));
    }

    /// The server's process and then its children.
    fn processes(&self) -> Vec<u32> {
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        let pid = server.as_ref().expect("a running server").id();
        let children =
            std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        std::iter::once(pid).chain(children.split_whitespace().filter_map(|pid| pid.parse().ok())).collect()
    }

    fn url(&self, role: &str, database: &str) -> String {
        format!("postgres:///{database}?host={}&user={role}", self.directory.display())
    }

    /// A connection of the role that may do everything.
    pub async fn superuser(&self, database: &str) -> PgConnection {
        let options: PgConnectOptions = self.url(SUPERUSER, database).parse().expect("an address");
        options.disable_statement_logging().connect().await.unwrap_or_else(|e| panic!("{e}: {}", self.log()))
    }

    /// Makes what every test's database needs.
    async fn prepare(&self) {
        let mut conn = self.superuser("postgres").await;
        run(&mut conn, &format!("CREATE ROLE {ROLE} LOGIN")).await;
        run(&mut conn, &format!("CREATE DATABASE {TEMPLATE} OWNER {ROLE}")).await;
        let options = PostgresOptions::new(&self.url(ROLE, TEMPLATE)).expect("an address");
        PostgresStore::migrate_only(options).await.unwrap_or_else(|e| panic!("{e}"));
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let pid = server.id();
            signal("CONT", &[pid]);
            signal("QUIT", &[pid]);
            let _ = server.wait();
        }
        // The watchdog removes the rest.
        drop(self.watchdog.stdin.take());
        let _ = self.watchdog.wait();
    }
}

/// Whether a process is there, and not only its entry.
fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name, which may hold anything, stands in brackets before the state.
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

fn signal(name: &str, processes: &[u32]) {
    let pids = processes.iter().map(u32::to_string);
    // One that has ended since needs no signal.
    let _ = Command::new("kill").arg(format!("-{name}")).args(pids).stderr(Stdio::null()).status();
}

fn as_user(mut command: Command, user: Option<(u32, u32)>) -> Command {
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    command
}

/// Found once; every test says what is missing.
static PROGRAMS: LazyLock<Result<PathBuf, String>> = LazyLock::new(programs);

/// The newest PostgreSQL of the machine.
fn programs() -> Result<PathBuf, String> {
    let mut found: Vec<(u32, PathBuf)> = Vec::new();
    for entry in std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten() {
        let version = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let programs = entry.path().join("bin");
        if let (Some(version), true) = (version, has_programs(&programs)) {
            found.push((version, programs));
        }
    }
    for programs in std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()) {
        if has_programs(&programs) {
            found.push((version_of(&programs).unwrap_or_default(), programs));
        }
    }
    found.retain(|(version, _)| *version >= MAJOR_VERSION_MIN);
    // Of two of one version the first found counts.
    let newest = found.into_iter().rev().max_by_key(|(version, _)| *version);
    newest.map(|(_, programs)| programs).ok_or_else(|| {
        format!(
            "these tests need PostgreSQL {MAJOR_VERSION_MIN} or newer (initdb and postgres). Install it (Debian, \
             Ubuntu: sudo apt-get install postgresql), or put its programs on the PATH; scripts/test.sh does it by \
             itself where it may"
        )
    })
}

fn has_programs(directory: &Path) -> bool {
    ["initdb", "postgres"].iter().all(|program| directory.join(program).is_file())
}

fn version_of(programs: &Path) -> Option<u32> {
    let output = Command::new(programs.join("postgres")).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let number = text.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// PostgreSQL refuses to run as root: then it runs as the user of its package, or as nobody.
fn unprivileged() -> Option<(u32, u32)> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let uid = status.lines().find_map(|line| line.strip_prefix("Uid:")?.split_whitespace().nth(1));
    if uid != Some("0") {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").expect("the list of users");
    let ids = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    let user = ids("postgres").or_else(|| ids("nobody"));
    Some(user.expect("PostgreSQL does not run as root, and there is no user postgres or nobody"))
}

/// A directory for a cluster. Its path is short: that of a socket may have a hundred bytes.
fn directory(user: Option<(u32, u32)>) -> PathBuf {
    let temporary = std::env::temp_dir();
    let parent = if temporary.as_os_str().len() < 60 { temporary } else { PathBuf::from("/tmp") };
    let directory = tempfile::Builder::new().prefix("syncline-pg-").tempdir_in(parent).expect("a directory");
    // The watchdog removes it.
    let path = directory.keep();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).expect("its permissions");
    if let Some((uid, gid)) = user {
        chown(&path, Some(uid), Some(gid)).expect("its owner");
    }
    path
}

async fn run(conn: &mut PgConnection, sql: &str) {
    conn.execute(AssertSqlSafe(sql)).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
}

/// A database of one test's own, with the schema. It goes with its cluster: removing one by itself costs a checkpoint,
/// which is a second or two with its syncs, and what it holds (8 MB) is little.
pub struct Database {
    cluster: Arc<Cluster>,
    name: String,
}

impl Database {
    /// A database in the cluster that all tests share.
    pub async fn create() -> Database {
        Database::copy_of(TEMPLATE).await
    }

    /// A database without any tables.
    pub async fn empty() -> Database {
        Database::copy_of("template1").await
    }

    async fn copy_of(template: &'static str) -> Database {
        if let Err(missing) = &*PROGRAMS {
            panic!("{missing}");
        }
        // The first test starts it, which must not hold up the runtime of any other.
        let shared = tokio::task::spawn_blocking(|| SHARED.clone()).await.expect("the shared cluster");
        Database::within(shared.0, shared.1, template).await
    }

    /// A database in a cluster of its own.
    pub async fn alone() -> Database {
        let (cluster, admin) = tokio::task::spawn_blocking(prepared).await.expect("a cluster");
        Database::within(cluster, admin, TEMPLATE).await
    }

    async fn within(cluster: Arc<Cluster>, admin: Admin, template: &str) -> Database {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        admin.run(format!("CREATE DATABASE {name} TEMPLATE {template} OWNER {ROLE}")).await;
        Database { cluster, name }
    }

    /// The cluster it is in.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Its address for a server.
    pub fn url(&self) -> String {
        self.cluster.url(ROLE, &self.name)
    }

    /// Its address for another role.
    pub fn url_of(&self, role: &str) -> String {
        self.cluster.url(role, &self.name)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What a store is opened with.
    pub fn options(&self) -> PostgresOptions {
        PostgresOptions::new(&self.url()).expect("an address")
    }

    /// A store over it.
    pub async fn store(&self) -> PostgresStore {
        PostgresStore::open(self.options()).await.unwrap_or_else(|e| panic!("{e}"))
    }

    /// A connection to it that may do everything.
    pub async fn superuser(&self) -> PgConnection {
        self.cluster.superuser(&self.name).await
    }

    /// Waits until no session of the servers has a transaction open.
    pub async fn has_no_idle_transaction(&self) {
        let mut conn = self.superuser().await;
        let count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                     AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%'";
        let deadline = Instant::now() + IDLE_TIMEOUT;
        loop {
            let open: i64 = sqlx::query_scalar(count).fetch_one(&mut conn).await.expect("an answer");
            if open == 0 {
                return;
            }
            assert!(Instant::now() < deadline, "{open} sessions are idle in a transaction");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Ends all sessions of the servers.
    pub async fn terminate_sessions(&self, conn: &mut PgConnection) {
        let all = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                   WHERE datname = current_database() AND pid <> pg_backend_pid() AND usename = $1";
        sqlx::query(all).bind(ROLE).execute(conn).await.expect("an end");
    }
}

/// The cluster of all tests, started by the first that needs one and ended by its watchdog.
static SHARED: LazyLock<(Arc<Cluster>, Admin)> = LazyLock::new(prepared);

fn prepared() -> (Arc<Cluster>, Admin) {
    let cluster = Arc::new(Cluster::start());
    let admin = Admin::of(&cluster);
    (cluster, admin)
}

/// A thread that makes databases: tests have a runtime each, and the first one's must not be what the others need.
#[derive(Clone)]
struct Admin(mpsc::Sender<(String, oneshot::Sender<()>)>);

impl Admin {
    fn of(cluster: &Cluster) -> Admin {
        let (sender, receiver) = mpsc::channel::<(String, oneshot::Sender<()>)>();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(cluster.prepare());
        // Not the cluster itself: the thread must not keep it.
        let url = cluster.url(SUPERUSER, "postgres");
        std::thread::spawn(move || {
            let options: PgConnectOptions = url.parse().expect("an address");
            for (sql, done) in receiver {
                runtime.block_on(async {
                    // A connection each: the server may have been restarted meanwhile.
                    let mut conn = options.clone().disable_statement_logging().connect().await.expect(&sql);
                    run(&mut conn, &sql).await;
                    let _ = conn.close().await;
                });
                let _ = done.send(());
            }
        });
        Admin(sender)
    }

    async fn run(&self, sql: String) {
        let (done, finished) = oneshot::channel();
        self.0.send((sql.clone(), done)).expect("the thread of the cluster");
        finished.await.unwrap_or_else(|_| panic!("failed: {sql}"));
    }
}
