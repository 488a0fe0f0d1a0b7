use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, CommandFactory, Parser};

use super::*;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    flags: Flags,
}

fn no_env() -> impl Iterator<Item = (String, String)> {
    std::iter::empty()
}

fn env(pairs: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
    let owned: Vec<_> = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    owned.into_iter()
}

fn serve() -> Flags {
    Flags::new(Preset::SERVE)
}

fn file(text: &str) -> ConfigFile {
    ConfigFile::new("syncline.toml", text)
}

fn from_file(text: &str) -> Result<Config, ConfigErrors> {
    Config::load(&serve(), no_env(), Some(&file(text)))
}

fn from_env(pairs: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    Config::load(&serve(), env(pairs), None)
}

fn with(name: &str, value: &str) -> Result<Config, ConfigErrors> {
    Config::load(&serve().with(name, value), no_env(), None)
}

fn mistakes(result: Result<Config, ConfigErrors>) -> Vec<String> {
    result.expect_err("mistakes").iter().map(ToString::to_string).collect()
}

fn mistake(result: Result<Config, ConfigErrors>) -> String {
    let mut all = mistakes(result);
    assert_eq!(all.len(), 1, "{all:#?}");
    all.remove(0)
}

#[test]
fn nothing_said_gives_the_documented_defaults() {
    let config = Config::load(&serve(), no_env(), None).unwrap();
    assert_eq!(config.server.listen, "127.0.0.1:7447".parse().unwrap());
    assert!(!config.server.insecure_listen);
    assert_eq!(config.server.drain, Duration::from_secs(20));
    assert_eq!(config.server.max_connections, 10_000);
    assert_eq!(config.server.max_streams_per_connection, 32);
    assert_eq!(config.server.request_timeout, Duration::from_secs(30));
    assert_eq!(config.server.max_stream_age, Duration::from_secs(3600));
    assert!(!config.server.reflection);
    assert!(!config.server.console);
    assert!(config.server.cors_origins.is_empty());
    assert_eq!(config.metrics.listen, Some("127.0.0.1:7448".parse().unwrap()));
    assert_eq!(config.database.url, DatabaseUrl::Sqlite(PathBuf::from("./syncline.db")));
    assert_eq!(config.database.readers, 4);
    assert_eq!((config.log.level.as_str(), config.log.format), ("info", LogFormat::Pretty));
    assert_eq!(config.heartbeat.interval, Duration::from_secs(15));
    assert_eq!(config.feed.recent_changes, 8192);
    assert_eq!(config.warnings(), Vec::<String>::new());
    assert_eq!(config.files_needed(), 10_512);
}

#[test]
fn keys_have_distinct_names_flags_and_variables_and_are_grouped_by_section() {
    let distinct = |values: Vec<String>| {
        let count = values.len();
        let set: std::collections::BTreeSet<_> = values.into_iter().collect();
        assert_eq!(set.len(), count);
    };
    distinct(KEYS.iter().map(|key| key.name.to_owned()).collect());
    distinct(KEYS.iter().map(|key| key.flag.to_owned()).collect());
    distinct(KEYS.iter().map(Key::variable).collect());
    let mut sections: Vec<_> = KEYS.iter().map(|key| key.name.split_once('.').unwrap().0).collect();
    sections.dedup();
    distinct(sections.into_iter().map(str::to_owned).collect());
    for key in KEYS {
        assert!(!key.doc.is_empty() && !key.doc.contains('\n'), "{}", key.name);
    }
}

#[test]
fn each_source_overrides_the_one_before() {
    let flags = Flags::new(Preset::DEV);
    let config = Config::load(&flags, no_env(), None).unwrap();
    assert_eq!(config.database.url.to_string(), "sqlite:./.syncline/syncline.db");
    assert_eq!(config.origin("database.url"), Some(&Origin::Command("syncline dev")));

    let file = file("[database]\nurl = 'sqlite:file.db'\n");
    let config = Config::load(&flags, no_env(), Some(&file)).unwrap();
    assert_eq!(config.database.url.to_string(), "sqlite:file.db");
    assert_eq!(config.origin("database.url").unwrap().to_string(), "syncline.toml:2");

    let variables = [("SYNCLINE__DATABASE__URL", "sqlite:env.db")];
    let config = Config::load(&flags, env(&variables), Some(&file)).unwrap();
    assert_eq!(config.database.url.to_string(), "sqlite:env.db");
    assert_eq!(config.origin("database.url"), Some(&Origin::Env("SYNCLINE__DATABASE__URL".to_owned())));

    let flags = flags.with("database.url", "sqlite:flag.db");
    let config = Config::load(&flags, env(&variables), Some(&file)).unwrap();
    assert_eq!(config.database.url.to_string(), "sqlite:flag.db");
    assert_eq!(config.origin("database.url"), Some(&Origin::Flag("--database-url".to_owned())));
    assert_eq!(config.origin("no.such"), None);
}

#[test]
fn every_kind_of_value_can_be_given_in_a_file_a_variable_and_a_flag() {
    let config = from_file(
        "[server]\nlisten = '[::1]:1'\nreflection = true\nmax_connections = 1_000\n\
         cors_origins = ['https://a.example', 'http://localhost:*']\n[metrics]\nlisten = ''\n",
    )
    .unwrap();
    assert_eq!(config.server.listen, "[::1]:1".parse().unwrap());
    assert!(config.server.reflection);
    assert_eq!(config.server.max_connections, 1000);
    assert_eq!(config.server.cors_origins.len(), 2);
    assert_eq!(config.metrics.listen, None);

    let config = from_env(&[
        ("SYNCLINE__SERVER__LISTEN", " localhost:9 "),
        ("SYNCLINE__SERVER__REFLECTION", "true"),
        ("SYNCLINE__SERVER__MAX_CONNECTIONS", "7"),
        ("SYNCLINE__SERVER__CORS_ORIGINS", "https://a.example, https://b.example,"),
        ("SYNCLINE__METRICS__LISTEN", ""),
        ("PATH", "/bin"),
        ("SYNCLINE_HOME", "of somebody else"),
    ])
    .unwrap();
    assert_eq!(config.server.listen, "127.0.0.1:9".parse().unwrap());
    assert!(config.server.reflection);
    assert_eq!(config.server.max_connections, 7);
    assert_eq!(config.server.cors_origins.len(), 2);
    assert_eq!(config.metrics.listen, None);

    let cli = Cli::try_parse_from([
        "syncline",
        "--listen",
        "127.0.0.1:0",
        "--reflection",
        "--insecure-listen=false",
        "--max-connections=8",
        "--cors-origins",
        "https://a.example",
        "--config",
        "a.toml",
        "--print-effective-config",
    ])
    .unwrap();
    assert_eq!(cli.flags.config_file, Some(PathBuf::from("a.toml")));
    assert!(cli.flags.print_effective_config);
    let config = Config::load(&cli.flags, no_env(), None).unwrap();
    assert_eq!(config.server.listen.port(), 0);
    assert!(config.server.reflection);
    assert_eq!(config.server.max_connections, 8);
    assert_eq!(config.origin("server.reflection").unwrap().to_string(), "--reflection");
}

#[test]
fn all_mistakes_are_reported_at_once_in_the_order_of_the_sources() {
    let file = file(
        "[server]\nlisen = '127.0.0.1:1'\n\n[database]\nreaders = 9\nurl = 'mysql://u:hunter2@db/x'\n\n\
         [metric]\nlisten = ''\n",
    );
    let variables =
        [("SYNCLINE__LOG__FORMAT", "xml"), ("SYNCLINE__LOGS__LEVEL", "info"), ("SYNCLINE__A__B__C", "1")];
    let flags = serve().with("server.drain_seconds", "soon").with("server.max_conections", "1");
    let errors = Config::load(&flags, env(&variables), Some(&file)).unwrap_err();
    assert_eq!(
        errors.to_string(),
        "the configuration has 9 mistakes; nothing was started:\n  \
         syncline.toml:2: there is no `server.lisen`; did you mean `server.listen`?\n  \
         syncline.toml:5: database.readers: expected a whole number from 2 to 8; given: 9\n  \
         syncline.toml:6: database.url: this kind of database is not supported; supported: sqlite:PATH (a \
         file, as sqlite:./syncline.db), postgres://USER:PASSWORD@HOST:PORT/DATABASE, or memory: (nothing is kept)\n  \
         syncline.toml:9: there is no `metric.listen`; did you mean `metrics.listen`?\n  \
         SYNCLINE__A__B__C: there is no `a.b.c`; --print-effective-config lists what there is\n  \
         SYNCLINE__LOGS__LEVEL: there is no `logs.level`; did you mean SYNCLINE__LOG__LEVEL?\n  \
         SYNCLINE__LOG__FORMAT: log.format: expected pretty or json; given: `xml`\n  \
         --drain-seconds: server.drain_seconds: expected a whole number from 0 to 600; given: `soon`\n  \
         --server-max-conections: there is no `server.max_conections`; did you mean `server.max_connections`?"
    );
    assert_eq!(errors.iter().count(), 9);
}

#[test]
fn a_mistake_is_reported_even_where_a_later_source_would_override_it() {
    let file = file("[database]\nreaders = 1\n");
    let error = mistake(Config::load(&serve().with("database.readers", "3"), no_env(), Some(&file)));
    assert!(error.starts_with("syncline.toml:2: database.readers"), "{error}");
}

#[test]
fn an_unreadable_file_does_not_hide_other_mistakes() {
    let mut flags = serve().with("log.format", "xml");
    flags.config_file = Some(PathBuf::from("/nonexistent/syncline.toml"));
    let errors = mistakes(Config::from_process(&flags));
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(errors[0].starts_with("--config: cannot read /nonexistent/syncline.toml: "), "{errors:?}");
    assert!(errors[1].starts_with("--log-format: "), "{errors:?}");
}

#[test]
fn a_file_is_read_from_disk_and_a_huge_one_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.toml");
    std::fs::write(&path, "[database]\nreaders = 3\n").unwrap();
    let mut flags = serve();
    flags.config_file = Some(path.clone());
    assert_eq!(Config::from_process(&flags).unwrap().database.readers, 3);
    std::fs::write(&path, "#".repeat(1024 * 1024 + 1)).unwrap();
    assert!(mistake(Config::from_process(&flags)).contains("larger than"));
    flags.config_file = Some(directory.path().to_owned());
    assert!(mistake(Config::from_process(&flags)).contains("cannot read"));
}

#[test]
fn syntax_errors_have_their_line() {
    let errors = mistakes(from_file("[server]\nlisten = \n[log]\nlevel = 'x\n"));
    assert!(errors[0].starts_with("syncline.toml:2: "), "{errors:?}");
    assert!(errors.iter().any(|error| error.starts_with("syncline.toml:4: ")), "{errors:?}");
    let errors = mistakes(from_file("[log]\nlevel = 'info'\nlevel = 'debug'\n"));
    assert!(errors[0].starts_with("syncline.toml:3: "), "{errors:?}");
}

#[test]
fn a_value_of_another_kind_is_refused_in_words() {
    for (text, expected) in [
        ("[server]\nlisten = 1\n", "server.listen: expected a text in quotes, not a number; given: 1"),
        ("[server]\nlisten = ['a']\n", "server.listen: expected a text in quotes, not a list; given: `a`"),
        ("[server.listen]\nport = 1\n", "server.listen: expected a text in quotes, not a table"),
        (
            "[server]\nreflection = 'true'\n",
            "server.reflection: expected true or false, without quotes; given: `true`",
        ),
        ("[database]\nreaders = '4'\n", "database.readers: expected a whole number from 2 to 8; given: `4`"),
        ("[database]\nreaders = 4.0\n", "database.readers: expected a whole number from 2 to 8"),
        ("[database]\nreaders = 0x09\n", "database.readers: expected a whole number from 2 to 8; given: 9"),
        (
            "[feed]\nrecent_changes = -1\n",
            "feed.recent_changes: expected a whole number from 16 to 1048576; given: -1",
        ),
        (
            "[server]\ncors_origins = 'https://a.example'\n",
            "server.cors_origins: expected a list of texts in quotes, not a text; given: `https://a.example`",
        ),
        (
            "[server]\ncors_origins = [1]\n",
            "server.cors_origins: expected a list of texts in quotes, not a list of other things",
        ),
    ] {
        let error = mistake(from_file(text));
        let (_, message) = error.split_once(": ").unwrap();
        assert_eq!(message, expected);
    }
}

#[test]
fn unknown_sections_and_keys_outside_of_sections_are_refused() {
    assert_eq!(
        mistake(from_file("listen = '127.0.0.1:1'\n")),
        "syncline.toml:1: there is no `listen`; did you mean `server.listen`?"
    );
    assert_eq!(
        mistake(from_file("[tls]\n")),
        "syncline.toml:1: there is no `tls`; --print-effective-config lists what there is"
    );
    assert_eq!(
        mistake(from_file("[database]\npool = 1\n")),
        "syncline.toml:2: there is no `database.pool`; section [database] has url, readers"
    );
    assert!(from_file("[database]\n[server]\n").is_ok(), "an empty known section says nothing");
}

#[test]
fn variables_that_were_meant_for_syncline_are_never_ignored() {
    assert_eq!(
        mistake(from_env(&[("SYNCLINE__SERVER__LISTN", "x")])),
        "SYNCLINE__SERVER__LISTN: there is no `server.listn`; did you mean SYNCLINE__SERVER__LISTEN?"
    );
    assert_eq!(
        mistake(from_env(&[("SYNCLINE_SERVER_LISTEN", "x")])),
        "SYNCLINE_SERVER_LISTEN: there is no `SYNCLINE_SERVER_LISTEN`; did you mean SYNCLINE__SERVER__LISTEN?"
    );
    assert_eq!(
        mistake(from_env(&[("syncline__server__listen", "x")])),
        "syncline__server__listen: there is no `syncline__server__listen`; \
         did you mean SYNCLINE__SERVER__LISTEN?"
    );
    assert!(mistake(from_env(&[("SYNCLINE__", "x")])).contains("--print-effective-config"));
}

#[test]
fn suggestions_find_slips_and_names_cut_short_but_do_not_guess_wildly() {
    for (name, meant) in [
        ("server.lsiten", Some("server.listen")),
        ("server.max-connections", Some("server.max_connections")),
        ("server.drain", Some("server.drain_seconds")),
        ("heartbeat.interval", Some("heartbeat.interval_seconds")),
        ("Log.Level", Some("log.level")),
        ("readers", Some("database.readers")),
        ("feed.rings", None),
        ("server.tls_certificate", None),
        ("x", None),
        ("", None),
    ] {
        assert_eq!(hint::suggest(name).map(|key| key.name), meant, "{name}");
    }
    assert!(hint::suggest(&"x".repeat(1_000_000)).is_none());
}

#[test]
fn an_address_that_others_can_reach_must_be_asked_for() {
    for address in ["0.0.0.0:7447", "[::]:7447", "192.168.1.2:7447", "[::ffff:10.0.0.1]:7447"] {
        let error = mistake(with("server.listen", address));
        assert!(error.starts_with("--listen: server.listen: "), "{error}");
        assert!(error.contains("TLS and authentication are not built in yet"), "{error}");
        assert!(error.contains("server.insecure_listen = true"), "{error}");
        let accepted = serve().with("server.listen", address).with("server.insecure_listen", "true");
        let config = Config::load(&accepted, no_env(), None).unwrap();
        assert_eq!(config.warnings().len(), 1);
    }
    assert!(
        mistake(with("metrics.listen", "0.0.0.0:7448")).starts_with("--metrics-listen: metrics.listen: ")
    );
    for address in ["127.0.0.1:1", "127.8.8.8:1", "[::1]:1", "[::ffff:127.0.0.1]:1", "localhost:1"] {
        assert!(with("server.listen", address).is_ok(), "{address}");
    }
}

#[test]
fn two_listeners_cannot_share_a_port() {
    let error = mistake(with("metrics.listen", "127.0.0.1:7447"));
    assert!(error.contains("is taken by server.listen"), "{error}");
    assert!(with("metrics.listen", "127.0.0.2:7447").is_ok());
    let free = serve().with("server.listen", "127.0.0.1:0").with("metrics.listen", "127.0.0.1:0");
    assert!(Config::load(&free, no_env(), None).is_ok(), "port 0 is another one each time");
}

#[test]
fn addresses_and_numbers_are_checked() {
    for (name, value) in [
        ("server.listen", ""),
        ("server.listen", "7447"),
        ("server.listen", "example.com:7447"),
        ("server.listen", "127.0.0.1"),
        ("server.listen", "127.0.0.1:70000"),
        ("server.listen", "localhost:x"),
        ("server.max_connections", "0"),
        ("server.max_connections", "1000001"),
        ("server.max_streams_per_connection", "11"),
        ("server.request_timeout_seconds", "0"),
        ("server.max_stream_age_seconds", "9"),
        ("server.reflection", "yes"),
        ("database.readers", "1"),
        ("database.readers", "18446744073709551616"),
        ("heartbeat.interval_seconds", "0"),
        ("feed.recent_changes", "15"),
        ("log.level", ""),
        ("log.level", "verbose"),
        ("log.level", "syncline=loud"),
        ("log.level", "info,,debug"),
    ] {
        assert!(with(name, value).is_err(), "{name} = {value}");
    }
    for (name, value) in [
        ("log.level", "warn"),
        ("log.level", "INFO"),
        ("log.level", "info,syncline=debug,tower=off"),
        ("server.drain_seconds", "0"),
        ("server.max_streams_per_connection", "12"),
        ("database.readers", "8"),
    ] {
        assert!(with(name, value).is_ok(), "{name} = {value}");
    }
}

#[test]
fn a_database_that_is_not_supported_is_refused_without_repeating_its_password() {
    for url in [
        "postgres://u:hunter2@db:port/x",
        "postgresql:hunter2",
        "mysql://u:hunter2@db/x",
        "hunter2",
        "sqlite:",
        "sqlite://hunter2",
        "sqlite::memory:",
        "sqlite:a.db?key=hunter2",
        "memory:hunter2",
        "memory",
        "",
    ] {
        let error = mistake(with("database.url", url));
        assert!(!error.contains("hunter2"), "{error}");
        assert!(
            ["sqlite:", "memory:", "parameters", "postgres:", "port"].iter().any(|said| error.contains(said)),
            "{error}"
        );
    }
    let config = with("database.url", "postgres://u:hunter2@db/x").unwrap();
    assert_eq!(config.database.url.to_string(), "postgres://u:***@db/x");
    assert!(!config.effective().contains("hunter2") && !format!("{config:?}").contains("hunter2"));
    assert_eq!(database_directory(&config.database.url), None);
    let config = with("database.url", "sqlite:/var/lib/syncline/a b.db").unwrap();
    assert_eq!(database_directory(&config.database.url), Some(Path::new("/var/lib/syncline")));
    assert_eq!(database_directory(&DatabaseUrl::parse("sqlite:a.db").unwrap()), None);
}

#[test]
fn a_database_in_memory_is_allowed_with_a_warning() {
    let config = with("database.url", "memory:").unwrap();
    assert_eq!(config.database.url, DatabaseUrl::Memory);
    assert!(config.warnings()[0].contains("nothing is kept"));
}

#[test]
fn neither_flags_nor_errors_nor_debug_repeat_what_may_be_secret() {
    let flags = serve().with("database.url", "postgres://u:hunter2@db:port/x");
    assert!(!format!("{flags:?}").contains("hunter2"));
    let errors = Config::load(&flags, no_env(), None).unwrap_err();
    assert!(!format!("{errors:?} {errors}").contains("hunter2"));
}

#[test]
fn origins_match_exactly_or_on_any_port() {
    let origin = |text: &str| CorsOrigin::parse(text).unwrap();
    assert!(origin("https://app.example.com").matches("https://app.example.com"));
    assert!(origin("https://app.example.com:443").matches("https://app.example.com"));
    assert!(origin("https://App.Example.com").matches("https://app.example.com"));
    assert!(!origin("https://app.example.com").matches("https://app.example.com:8443"));
    assert!(!origin("https://app.example.com").matches("https://app.example.com.evil.example"));
    assert!(!origin("https://app.example.com").matches("http://app.example.com"));
    let local = origin("http://localhost:*");
    assert!(local.matches("http://localhost") && local.matches("http://localhost:5173"));
    for other in [
        "http://localhost:",
        "http://localhost:x",
        "http://localhost:5173.evil.example",
        "http://localhost.evil.example",
        "http://localhost5173",
        "https://localhost:1",
        "null",
        "",
    ] {
        assert!(!local.matches(other), "{other}");
    }
    assert!(origin("http://[::1]:*").matches("http://[::1]:3000"));
    for text in [
        "*",
        "localhost",
        "ftp://a.example",
        "https://",
        "https://a.example/path",
        "https://u@a.example",
        "https://a.example:x",
        "http://[::x]:*",
        "http://*.a.example",
        "https://a.example:99999",
    ] {
        assert!(CorsOrigin::parse(text).is_err(), "{text}");
    }
}

#[test]
fn the_dev_command_allows_pages_of_this_machine_and_reflection_and_serves_its_own() {
    let config = Config::load(&Flags::new(Preset::DEV), no_env(), None).unwrap();
    assert!(config.server.reflection);
    assert!(config.server.console);
    for page in ["http://localhost:5173", "http://127.0.0.1:3000", "http://[::1]:80"] {
        assert!(config.server.cors_origins.iter().any(|origin| origin.matches(page)), "{page}");
    }
    assert!(!config.server.cors_origins.iter().any(|origin| origin.matches("https://example.com")));
    assert!(is_loopback(config.server.listen));
}

#[test]
fn the_effective_configuration_is_a_file_that_means_the_same() {
    let flags = Flags::new(Preset::DEV)
        .with("database.url", "sqlite:a \"b\"\\c.db")
        .with("metrics.listen", "")
        .with("log.format", "json");
    let config = Config::load(&flags, env(&[("SYNCLINE__FEED__RECENT_CHANGES", "64")]), None).unwrap();
    let text = config.effective();
    let again = Config::load(&serve(), no_env(), Some(&file(&text))).unwrap();
    for key in KEYS {
        assert_eq!((key.show)(&config), (key.show)(&again), "{}", key.name);
        assert!(text.contains(key.doc), "{}", key.name);
    }
    assert!(text.contains("recent_changes = 64  # SYNCLINE__FEED__RECENT_CHANGES\n"), "{text}");
    assert!(text.contains("format = \"json\"  # --log-format\n"), "{text}");
    assert!(text.contains("reflection = true  # syncline dev\n"), "{text}");
    assert!(text.contains("readers = 4  # default\n"), "{text}");
}

#[test]
fn control_characters_never_reach_the_terminal() {
    let file = ConfigFile::new("a\x1b[31m.toml", "[log]\nformat = \"\\u001b[31m\"\n\"\\u001bx\" = 1\n");
    let shown = Config::load(&serve(), no_env(), Some(&file)).unwrap_err().to_string();
    assert!(!shown.contains('\x1b'), "{shown:?}");
    let long = mistake(with("log.format", &"x".repeat(10_000)));
    assert!(long.len() < 300, "{long}");
}

#[test]
fn the_command_line_is_well_formed_and_its_help_names_every_key() {
    Cli::command().debug_assert();
    let help = Flags::augment_args(clap::Command::new("x")).render_long_help().to_string();
    for key in KEYS {
        assert!(help.contains(&format!("--{}", key.flag)) && help.contains(key.name), "{}", key.name);
    }
    assert!(Cli::try_parse_from(["x", "--lisen", "y"]).is_err());
}
